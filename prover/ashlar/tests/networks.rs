//! Proofs of networks that are large enough for several threads.

mod common;

use ark_bn254::Fr;
use common::encode::code;
use common::networks::{Built, lenet, perceptron};
use zkinfer_ashlar::infer::Network;
use zkinfer_ashlar::program::{Key, Mode, Program};
use zkinfer_ashlar::prove::{Proved, make_key, prove};
use zkinfer_ashlar::setup::Setup;

fn proved(of: &Built, setup: &Setup) -> Proved {
    let code = code(&of.program);
    let network = Network::new(Program::from_code(&code).expect("a program"), of.weights.clone()).expect("a network");
    let key = Key::from_bytes(&make_key(&code, &network, setup).expect("a key")).expect("a key");
    prove(&key, &network, &of.input, &[7; 32], setup).expect("a proof")
}

fn in_pool<T: Send>(threads: usize, work: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads").install(work)
}

#[test]
fn threads_do_not_change_a_proof() {
    let setup = Setup::insecure(Fr::from(0x5eed_0123_4567_89ab_u64), 13).expect("a setup");
    let networks =
        [perceptron(&[300, 100, 50, 10], true, Mode::Public, 12), lenet(Mode::Hashed, 13), lenet(Mode::Private, 11)];
    for of in networks {
        let alone = in_pool(1, || proved(&of, &setup));
        assert_eq!(in_pool(2, || proved(&of, &setup)), alone);
        assert_eq!(in_pool(4, || proved(&of, &setup)), alone);
    }
}
