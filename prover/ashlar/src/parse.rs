//! From bytes to a key or a program (sections 4.1 and 4.2).
//!
//! Nothing of a size that the bytes name is allocated: lists grow as records are read.

use ark_ec::AffineRepr;

use crate::check;
use crate::curve;
use crate::error::{Result, malformed};
use crate::keccak::keccak256;
use crate::program::{
    Axis, AxisKind, Bits, Dim, Header, Hidden, Input, Key, Mode, Output, Program, Span, Table, TableKind, Term,
    TermKind, Tile,
};

/// The first 16 bytes of every key.
pub const MAGIC: &[u8; 16] = b"zkinfer.ashlar.1";
/// Most words of a key, so that it fits the code of one contract.
pub const MAX_WORDS: usize = 767;
const WORD: usize = 32;

impl Key {
    /// Reads and checks a key (rules W1 to W9).
    ///
    /// # Errors
    /// [`crate::Error::MalformedKey`] names the first rule that is broken.
    pub fn from_bytes(bytes: &[u8]) -> Result<Key> {
        if bytes.len() % WORD != 0 || bytes.len() < 5 * WORD || bytes.len() > MAX_WORDS * WORD {
            return Err(malformed("W1", "a key is a list of 5 to 767 words of 32 bytes"));
        }
        let header = header(&bytes[..WORD])?;
        let points = 2 * usize::from(header.chunks_f);
        let words = 5 + points + usize::from(header.program_words);
        if words * WORD != bytes.len() {
            return Err(malformed(
                "W1",
                format!("the header counts {words} words, the key has {}", bytes.len() / WORD),
            ));
        }
        let (fixed, records) = bytes.split_at((5 + points) * WORD);
        let program = program(header, records)?;
        check::program(&program)?;
        let tau_g2 = curve::g2_from_bytes(&fixed[WORD..5 * WORD])
            .filter(|point| !point.is_zero())
            .ok_or_else(|| malformed("W1", "tau G2 is no point of the group, or infinity"))?;
        let weights = fixed[5 * WORD..].chunks_exact(2 * WORD).map(|chunk| {
            curve::g1_from_bytes(chunk)
                .ok_or_else(|| malformed("W1", "a commitment to weights is no point of the curve"))
        });
        Ok(Key { program, tau_g2, weights: weights.collect::<Result<_>>()?, digest: keccak256(&[bytes]) })
    }
}

impl Program {
    /// Reads and checks a header word followed by the program (rules W1 to W9).
    ///
    /// # Errors
    /// [`crate::Error::MalformedKey`] names the first rule that is broken.
    pub fn from_code(code: &[u8]) -> Result<Program> {
        if code.len() % WORD != 0 || code.len() < WORD || code.len() > MAX_WORDS * WORD {
            return Err(malformed("W1", "a program is a header and at most 766 words of 32 bytes"));
        }
        let header = header(&code[..WORD])?;
        let words = 1 + usize::from(header.program_words);
        if words * WORD != code.len() {
            return Err(malformed("W1", format!("the header counts {words} words, there are {}", code.len() / WORD)));
        }
        let program = program(header, &code[WORD..])?;
        check::program(&program)?;
        Ok(program)
    }
}

/// Bytes that are read from the front.
struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let (head, rest) =
            self.rest.split_at_checked(count).ok_or_else(|| malformed("W1", "a record ends beyond the program"))?;
        self.rest = rest;
        Ok(head)
    }

    fn u8(&mut self) -> Result<u8> {
        Ok(self.take(1)?[0])
    }

    fn u16(&mut self) -> Result<u16> {
        self.take(2).map(|b| u16::from_be_bytes([b[0], b[1]]))
    }

    fn u32(&mut self) -> Result<u32> {
        self.take(4).map(|b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]))
    }

    fn i32(&mut self) -> Result<i32> {
        self.take(4).map(|b| i32::from_be_bytes([b[0], b[1], b[2], b[3]]))
    }

    fn zero(&mut self, what: &str) -> Result<()> {
        match self.u8()? {
            0 => Ok(()),
            value => Err(malformed("W9", format!("the reserved byte of {what} is {value}"))),
        }
    }

    fn many<T>(&mut self, count: usize, mut read: impl FnMut(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        let mut list = Vec::new();
        for _ in 0..count {
            list.push(read(self)?);
        }
        Ok(list)
    }
}

fn header(word: &[u8]) -> Result<Header> {
    let mut reader = Reader { rest: word };
    if reader.take(MAGIC.len())? != MAGIC {
        return Err(malformed("W1", "this is no key of Ashlar, version 1"));
    }
    let profile = reader.u8()?;
    match profile {
        1 => {}
        2 => return Err(malformed("W2", "profile 2 (hiding) is not supported by this version")),
        _ => return Err(malformed("W2", format!("profile {profile} is unknown"))),
    }
    let mode = match reader.u8()? {
        0 => Mode::Public,
        1 => Mode::Hashed,
        2 => Mode::Private,
        mode => return Err(malformed("W2", format!("input mode {mode} is unknown"))),
    };
    Ok(Header {
        profile,
        mode,
        n: reader.u8()?,
        nt: reader.u8()?,
        nb: reader.u8()?,
        c: reader.u8()?,
        s: reader.u8()?,
        tables: reader.u8()?,
        hidden: reader.u16()?,
        outputs: reader.u16()?,
        chunks_f: reader.u16()?,
        program_words: reader.u16()?,
    })
}

fn program(header: Header, records: &[u8]) -> Result<Program> {
    let mut reader = Reader { rest: records };
    let program = Program {
        header,
        input: input(&mut reader)?,
        tables: reader.many(header.tables.into(), table)?,
        hidden: reader.many(header.hidden.into(), hidden)?,
        outputs: reader.many(header.outputs.into(), output)?,
    };
    if reader.rest.len() >= WORD || reader.rest.iter().any(|byte| *byte != 0) {
        return Err(malformed("W1", "behind the last record there is more than padding with zeros"));
    }
    Ok(program)
}

fn input(reader: &mut Reader<'_>) -> Result<Input> {
    let (bits, table, rank) = (reader.u8()?, reader.u8()?, reader.u8()?);
    if reader.u8()? != 0 {
        return Err(malformed("W4", "batches are not supported by this version"));
    }
    Ok(Input { bits, table, off: reader.u32()?, dims: reader.many(rank.into(), dim)? })
}

fn dim(reader: &mut Reader<'_>) -> Result<Dim> {
    Ok(Dim { size: reader.u32()?, bits: reader.u8()? })
}

fn table(reader: &mut Reader<'_>) -> Result<Table> {
    let kind = match reader.u8()? {
        0 => TableKind::Range,
        1 => TableKind::ClampU,
        2 => TableKind::ClampS,
        3 => TableKind::Stored,
        4 => TableKind::Excess,
        kind => return Err(malformed("W5", format!("table kind {kind} is unknown"))),
    };
    let (k, b) = (reader.u8()?, reader.u8()?);
    reader.zero("a table")?;
    Ok(Table { kind, k, b, off: reader.u32()?, f_off: reader.u32()? })
}

fn hidden(reader: &mut Reader<'_>) -> Result<Hidden> {
    let (bits, table, shift, terms) = (reader.u8()?, reader.u8()?, reader.u8()?, reader.u8()?);
    Ok(Hidden { bits, table, shift, off: reader.u32()?, terms: reader.many(terms.into(), term)? })
}

fn output(reader: &mut Reader<'_>) -> Result<Output> {
    let (bits, terms, rank) = (reader.u8()?, reader.u8()?, reader.u8()?);
    reader.zero("an output")?;
    Ok(Output { bits, dims: reader.many(rank.into(), dim)?, terms: reader.many(terms.into(), term)? })
}

fn term(reader: &mut Reader<'_>) -> Result<Term> {
    let kind = match reader.u8()? {
        1 => TermKind::Weights,
        2 => TermKind::Cells,
        3 => TermKind::Bias,
        kind => return Err(malformed("W7", format!("term kind {kind} is unknown"))),
    };
    let axes = reader.u8()?;
    let source = match (kind, reader.u16()?) {
        (TermKind::Bias, u16::MAX) => None,
        (TermKind::Bias, source) => return Err(malformed("W9", format!("a bias has the source {source}"))),
        (_, source) => Some(source),
    };
    let coef = reader.i32()?;
    let axes = reader.many(axes.into(), axis)?;
    let weighted = axes.iter().filter(|axis| axis.w > 0).count();
    let tiles = match kind {
        TermKind::Cells => Vec::new(),
        TermKind::Weights | TermKind::Bias => {
            let count = reader.u16()?;
            reader.many(count.into(), |reader| {
                let off = reader.u32()?;
                let spans = reader.many(weighted, |reader| Ok(Span { start: reader.u32()?, bits: reader.u8()? }))?;
                Ok(Tile { off, spans })
            })?
        }
    };
    Ok(Term { kind, source, coef, axes, tiles })
}

fn axis(reader: &mut Reader<'_>) -> Result<Axis> {
    let kind = match reader.u8()? {
        1 => AxisKind::Eq,
        2 => AxisKind::Walk,
        3 => AxisKind::Mask,
        4 => AxisKind::Free,
        5 => AxisKind::Fix,
        kind => return Err(malformed("W7", format!("axis kind {kind} is unknown"))),
    };
    let o = Bits { first: reader.u8()?, bits: reader.u8()? };
    let i = Bits { first: reader.u8()?, bits: reader.u8()? };
    let (w, k) = (reader.u8()?, reader.u8()?);
    reader.zero("an axis")?;
    Ok(Axis { kind, o, i, w, k, g: reader.i32()?, bound: reader.u32()? })
}
