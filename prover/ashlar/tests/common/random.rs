//! Numbers that look random and are the same in every run (splitmix64).

use ark_ff::PrimeField;

pub struct Random {
    state: u64,
}

impl Random {
    pub fn new(seed: u64) -> Random {
        Random { state: seed }
    }

    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 up to `end`, without it.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next_u64() % end
    }

    /// From `low` to `high`, both included.
    pub fn between(&mut self, low: i64, high: i64) -> i64 {
        low + self.below((high - low + 1) as u64) as i64
    }

    pub fn scalar<F: PrimeField>(&mut self) -> F {
        let bytes: Vec<u8> = (0..5).flat_map(|_| self.next_u64().to_le_bytes()).collect();
        F::from_le_bytes_mod_order(&bytes)
    }

    pub fn point<F: PrimeField>(&mut self, coordinates: usize) -> Vec<F> {
        (0..coordinates).map(|_| self.scalar()).collect()
    }
}
