//! Sizes and offsets that follow from a program (sections 2.4, 5.3 and 6.2).

use crate::program::{Mode, Program, elements};

/// Where everything lies, and how long the proof is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// log2 of the number of cells.
    pub n: usize,
    /// log2 of the number of rows.
    pub nt: usize,
    /// Rounds of sumcheck B.
    pub nb: usize,
    /// log2 of the size of a chunk.
    pub c: usize,
    /// Rounds of sumcheck A, `mA`.
    pub rounds_a: usize,
    /// Coordinates of tau, `mT`.
    pub taus: usize,
    /// Offsets in P of the blocks Q, R, Y, m.
    pub p: [usize; 4],
    /// Length of P.
    pub p_len: usize,
    /// Offsets in H of the blocks h1, h2, g.
    pub h: [usize; 3],
    /// Length of H.
    pub h_len: usize,
    /// Length of X, 0 unless mode 1.
    pub x_len: usize,
    /// Bits of the input box.
    pub input_bits: usize,
    /// Number of constraints, `L`.
    pub constraints: usize,
    /// Whether (I_pad) is there.
    pub padded: bool,
    /// Whether (I_in) is there.
    pub given: bool,
    /// Whether there are stored tables, so that `y*` is sent.
    pub stored: bool,
}

impl Shape {
    /// The sizes of a program whose fields are in range.
    pub fn new(program: &Program) -> Shape {
        let header = &program.header;
        let (n, nt) = (usize::from(header.n), usize::from(header.nt));
        let widest = program.outputs.iter().map(|output| usize::from(output.bits)).max().unwrap_or(0);
        let input_bits = usize::from(program.input.bits);
        let hashed = header.mode == Mode::Hashed;
        let (p_cells, p_rows) = blocks(n, nt, 3);
        let (h_cells, h_rows) = blocks(n, nt, 2);
        Shape {
            n,
            nt,
            nb: header.nb.into(),
            c: header.c.into(),
            rounds_a: n.max(nt),
            taus: n.max(nt).max(widest),
            p: [p_cells, p_cells + (1 << n), p_cells + (2 << n), p_rows],
            p_len: (3 << n) + (1 << nt),
            h: [h_cells, h_cells + (1 << n), h_rows],
            h_len: (2 << n) + (1 << nt),
            x_len: if hashed { 1 << input_bits } else { 0 },
            input_bits,
            constraints: program.hidden.len() + program.outputs.len(),
            padded: header.mode != Mode::Public && elements(&program.input.dims) < 1 << input_bits,
            given: header.mode != Mode::Private,
            stored: program.stored_tables().next().is_some(),
        }
    }

    /// Chunks of X, P and H.
    pub fn chunks(&self) -> [usize; 3] {
        [self.x_len, self.p_len, self.h_len].map(|length| length.div_ceil(1 << self.c))
    }

    /// Scalars of message 5.
    pub fn evaluations(&self) -> usize {
        8 + usize::from(self.x_len > 0) + usize::from(self.stored)
    }

    /// Words of 32 bytes in a proof (step 2 of section 7.1).
    pub fn proof_words(&self) -> usize {
        let chunks: usize = self.chunks().iter().sum();
        2 * chunks + 3 * self.rounds_a + 2 * self.nb + 11 + self.evaluations()
    }
}

/// First cell and first row of a vector of `cells` blocks of `2^n` and one of `2^nt`: the larger kind comes first.
fn blocks(n: usize, nt: usize, cells: usize) -> (usize, usize) {
    if nt > n { (1 << nt, 0) } else { (0, cells << n) }
}

#[cfg(test)]
mod tests {
    use super::blocks;

    #[test]
    fn rows_come_first_only_if_there_are_more_of_them() {
        assert_eq!(blocks(3, 4, 3), (16, 0));
        assert_eq!(blocks(4, 4, 3), (0, 48));
        assert_eq!(blocks(4, 3, 2), (0, 32));
    }
}
