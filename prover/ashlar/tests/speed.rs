//! Time of a verification. Run it in release mode, alone on its machine.

mod common;

use std::time::Instant;

#[test]
#[ignore = "measures time: cargo test --release --test speed -- --ignored --nocapture"]
fn verification_takes_less_than_five_milliseconds() {
    for vector in common::vectors() {
        let key = vector.loaded();
        let mut times: Vec<_> = (0..50)
            .map(|_| {
                let start = Instant::now();
                zkinfer_ashlar::verify(&key, &vector.statement(), &vector.proof).expect("a good proof");
                start.elapsed()
            })
            .collect();
        times.sort();
        let load = Instant::now();
        vector.loaded();
        println!("{}: {:?} median, {:?} to load the key", vector.name, times[25], load.elapsed());
        assert!(times[25].as_micros() < 5000, "{}: {:?}", vector.name, times[25]);
    }
}
