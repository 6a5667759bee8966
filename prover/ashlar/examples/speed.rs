//! Times of proofs: `cargo run --release --example speed [name ...]`.

#[path = "../tests/common/encode.rs"]
mod encode;
#[path = "../tests/common/networks.rs"]
mod networks;
#[path = "../tests/common/random.rs"]
#[allow(dead_code)]
mod random;

use std::time::Instant;

use ark_bn254::Fr;
use networks::{Built, lenet, perceptron, residual};
use zkinfer_ashlar::infer::Network;
use zkinfer_ashlar::program::{Key, Mode, Program};
use zkinfer_ashlar::prove::{make_key, memory, prove};
use zkinfer_ashlar::setup::Setup;
use zkinfer_ashlar::{Result, Statement, verify};

type Build = Box<dyn Fn() -> Built>;

fn main() -> Result<()> {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let deep = [&[96_usize][..], &[528; 13], &[1]].concat();
    let all: Vec<(&str, Build)> = vec![
        ("digits", Box::new(|| perceptron(&[64, 32, 10], false, Mode::Public, 13))),
        ("mlp", Box::new(|| perceptron(&[784, 64, 10], false, Mode::Hashed, 14))),
        ("lenet", Box::new(|| lenet(Mode::Hashed, 15))),
        ("residual", Box::new(|| residual(Mode::Hashed, 17))),
        ("deep", Box::new(move || perceptron(&deep, true, Mode::Public, 18))),
    ];
    let chosen = all.iter().filter(|(name, _)| wanted.is_empty() || wanted.iter().any(|want| want == name));
    let built: Vec<(&str, Built)> = chosen.map(|(name, build)| (*name, build())).collect();
    let k = built.iter().map(|(_, of)| of.program.header.c).max().unwrap_or(4);
    let setup = Setup::insecure(Fr::from(0x5eed_0123_4567_89ab_u64), k.into())?;
    for (name, of) in &built {
        measure(name, of, &setup)?;
    }
    Ok(())
}

fn measure(name: &str, of: &Built, setup: &Setup) -> Result<()> {
    let code = encode::code(&of.program);
    let program = Program::from_code(&code)?;
    let header = program.header;
    println!(
        "{name}: n {} nT {} nB {} c {} S {}, {} weights",
        header.n,
        header.nt,
        header.nb,
        header.c,
        header.s,
        of.weights.len()
    );
    let expected = memory(&program) >> 20;
    let started = Instant::now();
    let network = Network::new(program, of.weights.clone())?;
    let prepared = started.elapsed();
    let started = Instant::now();
    network.forward(&of.input)?;
    println!("  {} multiplications: {prepared:?} to prepare, {:?} to run", network.work(), started.elapsed());
    let started = Instant::now();
    let key = Key::from_bytes(&make_key(&code, &network, setup)?)?;
    println!("  key {:?}", started.elapsed());
    let (held, reset) = (memory_line("VmRSS:"), std::fs::write("/proc/self/clear_refs", "5"));
    for _ in 0..3 {
        let (started, before) = (Instant::now(), cpu());
        let proved = prove(&key, &network, &of.input, &[7; 32], setup)?;
        let (took, used) = (started.elapsed(), cpu() - before);
        let statement = Statement { context: &[7; 32], inputs: &proved.inputs, outputs: &proved.outputs };
        let started = Instant::now();
        verify(&key, &statement, &proved.proof)?;
        let (bytes, verified) = (proved.proof.len(), started.elapsed());
        println!("  proof {took:?}, {used:.2} s of processor, {bytes} bytes; verified in {verified:?}");
    }
    let since = if reset.is_ok() { "proofs" } else { "start" };
    println!("  {expected} MB expected; {held} before the proofs, at most {} since {since}", memory_line("VmHWM:"));
    Ok(())
}

/// Processor time of this process in seconds, on Linux.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok()).unwrap_or_default();
    (ticks(11) + ticks(12)) / 100.0
}

/// A line of this process's memory status, on Linux.
fn memory_line(name: &str) -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.map_or_else(|| "unknown".into(), |line| line.trim().to_owned())
}
