//! The Python module `zkinfer_ashlar`: bytes and integers in, bytes and integers out.
//!
//! The interpreter is detached during every call, and a panic becomes the exception `AshlarPanicError`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use pyo3::create_exception;
use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use pyo3::{BoundObject, IntoPyObject};

use crate::curve::g1_to_bytes;
use crate::error::{Error, Result};
use crate::infer;
use crate::program::{Key, Program};
use crate::prove;
use crate::setup::Setup;
use crate::verify::{Statement, verify as verify_proof};

create_exception!(zkinfer_ashlar, AshlarError, PyException, "Base of the module's exceptions.");
create_exception!(zkinfer_ashlar, MalformedKeyError, AshlarError, "A key breaks the rule of well-formedness `rule`.");
create_exception!(zkinfer_ashlar, ProofRejectedError, AshlarError, "A proof is refused at `step` of the verifier.");
create_exception!(zkinfer_ashlar, InputOutOfRangeError, AshlarError, "Element `index` of an input is `value`.");
create_exception!(zkinfer_ashlar, SetupError, AshlarError, "The setup is not readable, too small or another one.");
create_exception!(zkinfer_ashlar, AshlarPanicError, AshlarError, "A bug in this module.");

/// The exception for an error, with its attributes.
fn raised(py: Python<'_>, error: &Error) -> PyErr {
    let message = error.to_string();
    let (exception, attributes): (PyErr, Vec<(&str, Py<PyAny>)>) = match error {
        Error::MalformedKey { rule, .. } => (MalformedKeyError::new_err(message), vec![("rule", object(py, *rule))]),
        Error::ProofRejected { step, reason } => {
            let attributes = vec![("step", object(py, *step)), ("reason", object(py, reason.as_str()))];
            (ProofRejectedError::new_err(message), attributes)
        }
        Error::InputOutOfRange { index, value } => {
            let attributes = vec![("index", object(py, *index)), ("value", object(py, *value))];
            (InputOutOfRangeError::new_err(message), attributes)
        }
        Error::Setup { .. } => (SetupError::new_err(message), Vec::new()),
        Error::Argument { .. } => (AshlarError::new_err(message), Vec::new()),
    };
    for (name, value) in attributes {
        if let Err(failure) = exception.value(py).setattr(name, value) {
            return failure;
        }
    }
    exception
}

fn object<'py>(py: Python<'py>, value: impl IntoPyObject<'py>) -> Py<PyAny> {
    value.into_pyobject(py).map_or_else(|_| py.None(), |bound| bound.into_any().unbind())
}

/// Runs `work` without the interpreter.
fn detached<T: Send>(py: Python<'_>, work: impl FnOnce() -> Result<T> + Send) -> PyResult<T> {
    match py.detach(|| catch_unwind(AssertUnwindSafe(work))) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(raised(py, &error)),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
            Err(AshlarPanicError::new_err(format!("a bug in zkinfer_ashlar: {text}")))
        }
    }
}

/// Integers of 64 bits, little-endian.
fn integers(bytes: &[u8], what: &str) -> Result<Vec<i64>> {
    let words = bytes.chunks_exact(8);
    if !words.remainder().is_empty() {
        let reason = format!("the {what} have {} bytes, which are no whole number of int64", bytes.len());
        return Err(Error::Argument { reason });
    }
    Ok(words.map(|word| i64::from_le_bytes(std::array::from_fn(|k| word[k]))).collect())
}

fn bytes_of(integers: &[i64]) -> Vec<u8> {
    integers.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn network(code: &[u8], weights: &[u8]) -> Result<infer::Network> {
    infer::Network::new(Program::from_code(code)?, integers(weights, "weights")?)
}

/// The commitments to the chunks of the weights, 64 bytes each.
#[pyfunction]
fn commit_weights<'py>(
    py: Python<'py>,
    code: &[u8],
    weights: &[u8],
    setup_path: PathBuf,
) -> PyResult<Bound<'py, PyBytes>> {
    let points = detached(py, || prove::commit_weights(&network(code, weights)?, &Setup::open(&setup_path)?))?;
    Ok(PyBytes::new(py, &points.iter().flat_map(g1_to_bytes).collect::<Vec<_>>()))
}

/// The verifying key.
#[pyfunction]
fn make_key<'py>(py: Python<'py>, code: &[u8], weights: &[u8], setup_path: PathBuf) -> PyResult<Bound<'py, PyBytes>> {
    let key = detached(py, || prove::make_key(code, &network(code, weights)?, &Setup::open(&setup_path)?))?;
    Ok(PyBytes::new(py, &key))
}

/// The digest of a hashed input.
#[pyfunction]
fn commit_input<'py>(
    py: Python<'py>,
    code: &[u8],
    inputs: &[u8],
    setup_path: PathBuf,
) -> PyResult<Bound<'py, PyBytes>> {
    let digest = detached(py, || {
        let setup = Setup::open(&setup_path)?;
        prove::commit_input(&Program::from_code(code)?, &integers(inputs, "inputs")?, &setup)
    })?;
    Ok(PyBytes::new(py, &digest))
}

/// The outputs of one or many inputs.
#[pyfunction]
fn forward<'py>(py: Python<'py>, code: &[u8], weights: &[u8], inputs: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
    let outputs = detached(py, || network(code, weights)?.forward(&integers(inputs, "inputs")?))?;
    Ok(PyBytes::new(py, &bytes_of(&outputs)))
}

/// The statement's inputs, the outputs, and a proof, which has been verified.
#[pyfunction]
#[pyo3(name = "prove")]
fn prove_outputs<'py>(
    py: Python<'py>,
    key: &[u8],
    weights: &[u8],
    inputs: &[u8],
    context: &[u8],
    setup_path: PathBuf,
) -> PyResult<(Bound<'py, PyBytes>, Vec<i64>, Bound<'py, PyBytes>)> {
    let proved = detached(py, || {
        let key = Key::from_bytes(key)?;
        let network = infer::Network::new(key.program.clone(), integers(weights, "weights")?)?;
        prove::prove(&key, &network, &integers(inputs, "inputs")?, context, &Setup::open(&setup_path)?)
    })?;
    Ok((PyBytes::new(py, &proved.inputs), proved.outputs, PyBytes::new(py, &proved.proof)))
}

/// Returns nothing for a good proof, and raises `ProofRejectedError` for every other.
#[pyfunction]
fn verify(
    py: Python<'_>,
    key: &[u8],
    context: &[u8],
    inputs: &[u8],
    outputs: Vec<Bound<'_, PyAny>>,
    proof: &[u8],
) -> PyResult<()> {
    // An integer that does not fit is an output out of range, not a mistake of the caller.
    let outputs: Vec<i64> = outputs
        .iter()
        .map(|value| value.extract().or_else(|error| saturated(value, error)))
        .collect::<PyResult<_>>()?;
    detached(py, || {
        let statement = Statement { context, inputs, outputs: &outputs };
        verify_proof(&Key::from_bytes(key)?, &statement, proof)
    })
}

/// An integer beyond 64 bits as one that the verifier refuses in step 3; anything else is an error.
fn saturated(value: &Bound<'_, PyAny>, error: PyErr) -> PyResult<i64> {
    if error.is_instance_of::<pyo3::exceptions::PyOverflowError>(value.py()) { Ok(i64::MIN) } else { Err(error) }
}

/// Bytes of memory that a proof for a program takes at most, beside the setup and the interpreter.
#[pyfunction]
fn memory(py: Python<'_>, code: &[u8]) -> PyResult<u64> {
    detached(py, || Ok(prove::memory(&Program::from_code(code)?)))
}

/// A program and its weights, read once for many inputs.
#[pyclass(frozen)]
struct Network {
    network: infer::Network,
}

#[pymethods]
impl Network {
    #[new]
    fn new(py: Python<'_>, code: &[u8], weights: &[u8]) -> PyResult<Network> {
        detached(py, || Ok(Network { network: network(code, weights)? }))
    }

    /// The outputs of one or many inputs.
    fn forward<'py>(&self, py: Python<'py>, inputs: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        let outputs = detached(py, || self.network.forward(&integers(inputs, "inputs")?))?;
        Ok(PyBytes::new(py, &bytes_of(&outputs)))
    }

    /// `(q, r, y)` of each block, the input first.
    #[allow(clippy::type_complexity)]
    fn blocks(&self, py: Python<'_>, inputs: &[u8]) -> PyResult<Vec<(Vec<i64>, Vec<i64>, Vec<i64>)>> {
        let run = detached(py, || self.network.run(&integers(inputs, "inputs")?))?;
        Ok(run.blocks.into_iter().map(|block| (block.q, block.r, block.y)).collect())
    }

    /// Multiplications of one inference.
    fn work(&self) -> usize {
        self.network.work()
    }
}

/// The module.
#[pymodule]
fn zkinfer_ashlar(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    module.add("AshlarError", py.get_type::<AshlarError>())?;
    module.add("MalformedKeyError", py.get_type::<MalformedKeyError>())?;
    module.add("ProofRejectedError", py.get_type::<ProofRejectedError>())?;
    module.add("InputOutOfRangeError", py.get_type::<InputOutOfRangeError>())?;
    module.add("SetupError", py.get_type::<SetupError>())?;
    module.add("AshlarPanicError", py.get_type::<AshlarPanicError>())?;
    module.add_class::<Network>()?;
    module.add_function(wrap_pyfunction!(commit_weights, module)?)?;
    module.add_function(wrap_pyfunction!(make_key, module)?)?;
    module.add_function(wrap_pyfunction!(commit_input, module)?)?;
    module.add_function(wrap_pyfunction!(forward, module)?)?;
    module.add_function(wrap_pyfunction!(prove_outputs, module)?)?;
    module.add_function(wrap_pyfunction!(verify, module)?)?;
    module.add_function(wrap_pyfunction!(memory, module)?)
}
