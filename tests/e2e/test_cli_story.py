import json
import re
import shlex
import time

import numpy as np
import onnx
import pytest
from onnx import parser
from tests.e2e.shell import Shell
from tests.integration import bench

from zkinfer.circuits.compile import CompileOptions, compile_model
from zkinfer.circuits.engines.ezkl.engine import EzklEngine

ESCAPE = "\x1b"
REQUEST = "0x" + "11" * 32
DEV = "--unsafe-accept-dev-setup"


def verify(shell, name, *options, run=Shell.__call__):
    return run(shell, "verify", name, "--model", bench.MODEL, "--json", *options)


def steps_of(outcome):
    return {step["number"]: step["status"] for step in outcome.document["steps"]}


@pytest.fixture(scope="module")
def compiled(run_folder, home):
    """The demo's model, compiled by the command."""
    shell = Shell(home.root, run_folder)
    arguments = ("compile", bench.MODEL, "--calibration", bench.CALIBRATION, "--setup", "insecure-dev")
    return shell.process(*arguments, "--out", "by-command.circuit", "--json"), run_folder / "by-command.circuit"


# --- compile


def test_compile_prints_one_object_with_digests_and_timings(compiled):
    outcome, folder = compiled
    assert outcome.status == 0
    document = outcome.document
    assert document["ok"] is True
    assert document["circuitDigest"].startswith("sha256:")
    assert set(document["timings"]) == {"inspect", "tune", "setup", "keys", "evaluate", "prove"}
    assert document["manifest"] == json.loads((folder / "manifest.json").read_bytes())


def test_compile_with_json_prints_text_to_stderr_and_warns_of_the_dev_setup(compiled):
    outcome, _ = compiled
    assert "same answers" in outcome.stderr
    assert "anyone can forge proofs" in outcome.sentence
    assert ESCAPE not in outcome.stderr


def test_compile_with_an_accuracy_budget_reports_it_on_held_out_samples(shell):
    options = ("--calibration", bench.HELD_OUT, "--labels", "label=logits", "--max-accuracy-drop", "1%")
    quick = ("--effort", "quick", "--setup", "insecure-dev")
    outcome = shell("compile", bench.MODEL, *options, *quick, "--out", "c", "--json")
    assert outcome.status == 0
    fidelity = outcome.document["manifest"]["fidelity"]
    assert (fidelity["data"], fidelity["accuracy"]["output"]) == ("held-out", "logits")
    assert all(one["sample"] % 2 == 1 for one in fidelity["worst"])
    assert re.search(r"accuracy \d+\.\d% \(float: \d+\.\d%\)", outcome.sentence)


def test_compile_by_command_and_by_library_gives_the_same_circuit(compiled, home, tmp_path):
    made = compile_model(
        bench.MODEL,
        tmp_path / "circuit",
        engine=EzklEngine(),
        home=home,
        calibration=bench.CALIBRATION,
        options=CompileOptions(setup="insecure-dev"),
    )
    assert compiled[0].document["circuitDigest"] == str(made.circuit.digest)
    assert (compiled[1] / "manifest.json").read_bytes() == (made.circuit.folder / "manifest.json").read_bytes()


def test_compile_into_an_existing_folder_is_refused_up_front(shell, digits):
    outcome = shell("compile", bench.MODEL, "--setup", "insecure-dev", "--out", digits, "--json")
    assert outcome.status == 1
    assert "exists already" in outcome.document["error"]["cause"]


def test_compile_without_a_setup_names_the_cure(shell):
    outcome = shell.process("compile", bench.MODEL, "--out", "c")
    assert (outcome.status, outcome.stdout) == (1, "")
    assert "setup fetch" in outcome.sentence
    assert not (shell.folder / "c").exists()


# --- prove


def test_prove_prints_one_object_and_writes_the_attestation(workplace, digits):
    outcome = workplace("prove", digits, "--input", "image-0.json", "--out", "new.json", "--json")
    assert outcome.status == 0
    assert set(outcome.document["timings"]) == {"keys", "prove"}
    assert 10_000_000 < outcome.document["peakMemoryBytes"] < 1_000_000_000
    assert len(outcome.document["outputs"]["logits"][0]) == 10
    assert outcome.document["warnings"] == []
    assert (workplace.folder / "new.json").stat().st_size > 3000


def test_prove_warns_of_an_input_outside_of_the_measured_range(workplace, digits):
    image = json.loads((workplace.folder / "image-0.json").read_bytes())["image"]
    large = (2 * np.array(image)).tolist()
    (workplace.folder / "large.json").write_text(json.dumps({"image": large}))
    outcome = workplace("prove", digits, "--input", "large.json", "--out", "large-answer.json", "--json")
    assert outcome.status == 0
    [warning] = outcome.document["warnings"]
    assert re.match("Input 'image' holds values from .*; the circuit's fidelity was measured for values from", warning)
    assert "warning: Input 'image' holds values" in outcome.sentence


def test_prove_onto_an_existing_file_is_refused_and_keeps_it(workplace, digits):
    before = (workplace.folder / "offline.json").read_bytes()
    outcome = workplace("prove", digits, "--input", "image-0.json", "--out", "offline.json")
    assert outcome.status == 1
    assert "exists already" in outcome.sentence
    assert (workplace.folder / "offline.json").read_bytes() == before


def test_prove_prints_the_answer_to_stdout_and_hints_to_stderr(workplace, digits):
    outcome = workplace.process("prove", digits, "--input", "image-0.json", "--out", "quiet.json", NO_COLOR="1")
    assert outcome.status == 0
    assert "logits = [[" in outcome.stdout
    assert "--key" in outcome.stderr
    assert "--key" not in outcome.stdout


def test_prove_and_verify_match_columns_by_name_and_tell_it(workplace, digits):
    [numbers] = json.loads((workplace.folder / "image-0.json").read_bytes())["image"]
    order = [*range(1, len(numbers)), 0]
    lines = [",".join(f"image[{place}]" for place in order), ",".join(str(numbers[place]) for place in order)]
    (workplace.folder / "table.csv").write_text("\n".join(lines))
    made = workplace("prove", digits, "--input", "table.csv", "--out", "of-table.json", "--json")
    assert "matched by name with image[0] to image[63]" in made.sentence
    assert len(made.document["notes"]) == 1
    checked = verify(workplace, "of-table.json", DEV, "--input", "image-0.json")
    assert (checked.status, checked.document["notes"]) == (0, [])
    assert verify(workplace, "of-table.json", DEV, "--input", "table.csv").document["notes"] == made.document["notes"]


@pytest.mark.parametrize(
    ("rules", "error"),
    [
        ([{"notExpired": True}], "InsecureDevSetupError"),
        ([{"setupIs": "perpetual-powers-of-tau"}, {"unsafeAcceptDevSetup": True}], "PolicyRefusedError"),
        ([{"modelFileIs": "sha256:" + "11" * 32}, {"unsafeAcceptDevSetup": True}], "PolicyRefusedError"),
    ],
)
def test_prove_refuses_at_once_what_the_policy_of_the_recipient_cannot_accept(workplace, digits, rules, error):
    (workplace.folder / "policy.json").write_text(json.dumps({"version": 1, "allOf": rules}))
    options = ("--input", "image-0.json", "--out", "never.json", "--policy", "policy.json", "--json")
    outcome = workplace("prove", digits, *options)
    assert (outcome.status, outcome.document["error"]["type"]) == (1, error)
    assert not (workplace.folder / "never.json").exists()


# --- verify


def test_verify_accepts_an_honest_answer_and_reports_every_step(workplace):
    outcome = verify(workplace, "offline.json", DEV, "--input", "image-0.json", run=Shell.process)
    assert outcome.status == 0
    assert steps_of(outcome) == dict.fromkeys(range(1, 12), "passed") | {12: "skipped"}
    assert outcome.document["ephemeral"] is True
    assert outcome.document["onExpectedInput"] is True


def test_verify_without_permission_refuses_the_dev_setup(workplace):
    outcome = verify(workplace, "offline.json", run=Shell.process)
    assert outcome.status == 1
    assert outcome.document["error"]["type"] == "InsecureDevSetupError"
    assert steps_of(outcome)[2] == "failed"
    assert set(steps_of(outcome).values()) == {"passed", "failed", "not_reached"}


@pytest.mark.parametrize(
    ("options", "error", "step"),
    [
        (("--input", "image-1.json"), "InputMismatchError", 8),
        (("--signer", "stranger.key.pub"), "PolicyRefusedError", 11),
        (("--request-id", "0x" + "22" * 32), "PolicyRefusedError", 11),
    ],
)
def test_verify_refuses_what_the_caller_did_not_require(workplace, options, error, step):
    outcome = verify(workplace, "signed.json", DEV, *options)
    assert outcome.status == 1
    assert outcome.document["ok"] is False
    assert outcome.document["error"]["type"] == error
    assert steps_of(outcome)[step] == "failed"


def test_verify_accepts_the_required_signer_request_and_circuit(workplace, digits):
    wanted = ("--signer", "prover.key.pub", "--request-id", REQUEST, "--circuit", digits, "--input", "image-0.json")
    outcome = verify(workplace, "signed.json", DEV, *wanted)
    assert outcome.status == 0
    assert (outcome.document["ephemeral"], outcome.document["context"]["requestId"]) == (False, REQUEST)
    assert all(mark in outcome.stderr for mark in ("~ proof valid", "~ of this model", "~ on this input"))


def test_verify_writes_the_same_report_in_each_form(workplace, digits):
    forms = ("r.html", "r.pdf", "r.md", "r.json")
    options = [word for name in forms for word in ("--report", name)]
    outcome = verify(workplace, "signed.json", DEV, "--circuit", digits / "manifest.json", *options)
    assert outcome.document["reports"] == list(forms)
    report = json.loads((workplace.folder / "r.json").read_bytes())
    assert report["outcome"] == "forgeable"
    assert report["inputs"][0]["shownAs"] == "picture"
    assert report["model"]["fidelity"]["same answers"].endswith("of samples")
    html, markdown = ((workplace.folder / name).read_text() for name in ("r.html", "r.md"))
    assert all(digest in html and digest in markdown for digest in report["digests"].values())
    assert "✓" not in html + markdown
    assert (workplace.folder / "r.pdf").read_bytes().startswith(b"%PDF")


def test_command_of_a_report_repeats_the_verdict(workplace):
    assert verify(workplace, "signed.json", DEV, "--report", "again.json").status == 0
    command = json.loads((workplace.folder / "again.json").read_bytes())["repeat"]
    assert workplace(*shlex.split(command)[1:]).status == 0


def test_second_opinion_on_a_proof_by_ezkl_is_that_of_its_contract(workplace):
    outcome = verify(workplace, "offline.json", DEV, "--second-opinion")
    assert outcome.document["steps"][6]["detail"].endswith(" and the generated EVM verifier")


def test_verify_refuses_an_ephemeral_key_if_a_signer_is_required(workplace):
    outcome = verify(workplace, "offline.json", DEV, "--signer", "prover.key.pub")
    assert outcome.document["error"]["type"] == "PolicyRefusedError"


def test_verify_reports_what_it_did_not_compare(workplace):
    outcome = workplace("verify", "offline.json", "--model", bench.MODEL, DEV)
    assert outcome.status == 0
    assert "– on this input: not compared" in outcome.stdout
    assert "– for this request: not compared" in outcome.stdout
    last = outcome.stdout.splitlines()[-1]
    assert last.startswith("Verdict: valid, but forgeable by anyone")
    assert "not checked: " in last
    assert "✓" not in outcome.stdout
    assert "hint: --input FILE" in outcome.stderr


@pytest.mark.parametrize("name", ["digits", "offline.json", "model", "setups"])
def test_shown_digests_are_whole_and_on_stdout(workplace, digits, name):
    path = {"digits": digits, "model": bench.MODEL}.get(name, name)
    for columns in ({}, {"COLUMNS": "80"}):
        outcome = workplace(*(("setup", "list") if name == "setups" else ("inspect", path)), **columns)
        assert outcome.status == 0
        assert re.search(r"\b[0-9a-f]{64}\b", outcome.stdout)
        assert "…" not in outcome.stdout.replace(", …]", "")
        assert not re.search(r"\[/?\w*\]", outcome.stdout.replace("[64]", ""))


def test_verify_with_another_model_is_refused(workplace, digits):
    (workplace.folder / "other.onnx").write_bytes(bench.MODEL.read_bytes() + b"\x00")
    outcome = workplace("verify", "offline.json", "--model", "other.onnx", DEV, "--json")
    assert outcome.document["error"]["type"] == "UnknownModelError"


def test_verify_with_the_circuit_of_another_quantisation_is_refused(workplace, tiny_circuit):
    outcome = verify(workplace, "offline.json", DEV, "--circuit", tiny_circuit)
    assert outcome.status == 1
    assert outcome.document["error"]["type"] == "PolicyRefusedError"


@pytest.fixture(scope="module")
def tiny_circuit(run_folder, home):
    """The circuit of another model, which compiles within seconds."""
    text = '<ir_version: 8, opset_import: ["": 17]> g (float[1,2] x) => (float[1,2] y) { y = Relu(x) }'
    onnx.save(parser.parse_model(text), run_folder / "tiny.onnx")
    outcome = Shell(home.root, run_folder)("compile", "tiny.onnx", "--setup", "insecure-dev", "--out", "tiny.circuit")
    assert outcome.status == 0, outcome.stderr
    return run_folder / "tiny.circuit"


@pytest.mark.parametrize(("lifetime", "status"), [(4, 1), (3600, 0)])
def test_expired_request_is_refused_and_a_live_one_is_not(workplace, digits, lifetime, status):
    expiry = int(time.time()) + lifetime
    assert workplace("prove", digits, "--input", "image-0.json", "--out", "brief.json", "--expiry", expiry).status == 0
    if status:
        time.sleep(max(0.0, expiry + 1 - time.time()))
    outcome = verify(workplace, "brief.json", DEV)
    assert outcome.status == status
    assert bool(status) == ("expired" in outcome.document.get("error", {}).get("cause", ""))


def test_expired_request_is_a_usage_error(workplace, digits):
    outcome = workplace("prove", digits, "--input", "image-0.json", "--out", "late.json", "--expiry", 1_600_000_000)
    assert outcome.status == 2
    assert "already passed" in outcome.sentence


# --- policies


def policy(shell, *rules):
    (shell.folder / "policy.json").write_text(json.dumps({"version": 1, "allOf": list(rules)}))
    return "--policy", "policy.json"


def test_met_policy_file_is_accepted(workplace):
    options = policy(workplace, {"notOlderThanSeconds": 86400}, {"unsafeAcceptDevSetup": True})
    assert verify(workplace, "signed.json", *options).status == 0


def test_unmet_policy_file_is_refused(workplace):
    outcome = verify(workplace, "signed.json", DEV, *policy(workplace, {"modelIs": "0x" + "00" * 32}))
    assert outcome.document["error"]["type"] == "PolicyRefusedError"


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"version": 1}', '{"version": 2, "allOf": []}', "not json"])
def test_malformed_policy_file_is_an_error(workplace, text):
    (workplace.folder / "policy.json").write_text(text)
    outcome = verify(workplace, "signed.json", DEV, "--policy", "policy.json")
    assert outcome.status == 1
    assert outcome.document["ok"] is False


def test_empty_policy_file_is_refused(workplace):
    outcome = verify(workplace, "signed.json", DEV, *policy(workplace))
    assert outcome.status == 1
    assert outcome.document["error"]["type"] == "EmptyPolicyError"


# --- keys


def test_new_key_is_private_encrypted_and_shown_by_its_fingerprint(workplace):
    made = workplace(
        "keys", "new", "--out", "k", "--algorithm", "ecdsa-p256", "--passphrase-file", "passphrase", "--json"
    )
    shown = workplace("keys", "show", "k.pub", "--json")
    assert (made.status, shown.status) == (0, 0)
    assert shown.document == {"ok": True, "algorithm": "ecdsa-p256", "fingerprint": made.document["fingerprint"]}
    assert b"ENCRYPTED" in (workplace.folder / "k").read_bytes()
    assert (workplace.folder / "k").stat().st_mode & 0o777 == 0o600


def test_key_is_never_overwritten(workplace):
    before = (workplace.folder / "prover.key").read_bytes()
    outcome = workplace("keys", "new", "--out", "prover.key", "--passphrase-file", "passphrase")
    assert outcome.status == 1
    assert (workplace.folder / "prover.key").read_bytes() == before


def test_new_key_without_a_passphrase_is_refused_without_a_terminal(shell):
    outcome = shell.process("keys", "new", "--out", "k")
    assert outcome.status == 1
    assert list(shell.folder.iterdir()) == []


@pytest.mark.parametrize("content", ["", "\n", "\nsecond line\n"])
def test_empty_passphrase_file_is_refused(shell, content):
    (shell.folder / "empty").touch(mode=0o600)
    (shell.folder / "empty").write_text(content)
    outcome = shell("keys", "new", "--out", "k", "--passphrase-file", "empty")
    assert outcome.status == 1
    assert "holds no passphrase" in outcome.sentence
    assert not (shell.folder / "k").exists()


def prove_with_key(shell, digits, key, passphrase="passphrase"):
    arguments = ("--input", "image-0.json", "--out", "keyed.json", "--key", key, "--passphrase-file", passphrase)
    return shell("prove", digits, *arguments, "--json")


def test_wrong_passphrase_is_refused_before_proving(workplace, digits):
    (workplace.folder / "wrong").touch(mode=0o600)
    (workplace.folder / "wrong").write_text("battery staple\n")
    outcome = prove_with_key(workplace, digits, "prover.key", "wrong")
    assert outcome.document["error"]["type"] == "KeyFileError"
    assert not (workplace.folder / "keyed.json").exists()


def test_key_readable_by_others_is_refused(workplace, digits):
    (workplace.folder / "prover.key").chmod(0o640)
    outcome = prove_with_key(workplace, digits, "prover.key")
    assert "can be read by other users" in outcome.document["error"]["cause"]


def test_passphrase_readable_by_others_is_refused(workplace, digits):
    (workplace.folder / "passphrase").chmod(0o644)
    outcome = prove_with_key(workplace, digits, "prover.key")
    assert "passphrase can be read by other users" in outcome.document["error"]["cause"]
    assert not (workplace.folder / "keyed.json").exists()


def test_public_key_cannot_sign(workplace, digits):
    (workplace.folder / "prover.key.pub").chmod(0o600)
    assert prove_with_key(workplace, digits, "prover.key.pub").document["error"]["type"] == "KeyFileError"


def test_unencrypted_key_with_a_passphrase_is_refused(workplace, digits):
    assert workplace("keys", "new", "--out", "bare.key", "--unsafe-unencrypted").status == 0
    outcome = prove_with_key(workplace, digits, "bare.key")
    assert "is not encrypted" in outcome.document["error"]["cause"]


def test_unencrypted_key_signs_without_a_passphrase(workplace, digits):
    assert workplace("keys", "new", "--out", "bare.key", "--unsafe-unencrypted").status == 0
    outcome = workplace("prove", digits, "--input", "image-0.json", "--out", "bare.json", "--key", "bare.key")
    assert outcome.status == 0


# --- inspect and setup


def test_inspect_shows_a_circuit_an_attestation_and_a_model(workplace, digits):
    kinds = [workplace("inspect", path, "--json").document["kind"] for path in (digits, "signed.json", bench.MODEL)]
    assert kinds == ["circuit", "attestation", "model"]


def test_inspect_shows_the_fidelity_of_a_circuit_and_draws_it(workplace, digits):
    outcome = workplace("inspect", digits, "--picture", "errors.png", "--json")
    assert outcome.document["manifest"]["fidelity"]["data"] == "held-out"
    assert "measured on 64 samples held out from calibration" in outcome.text
    assert "worst samples" in outcome.text
    assert (workplace.folder / "errors.png").read_bytes().startswith(b"\x89PNG")


def test_inspect_refuses_to_draw_into_another_file_type(workplace, digits):
    outcome = workplace("inspect", digits, "--picture", "errors.jpg", "--json")
    assert outcome.status == 1
    assert "neither in .png nor in .svg" in outcome.document["error"]["cause"]
    assert not (workplace.folder / "errors.jpg").exists()


def test_inspect_states_that_it_checks_no_proof(workplace):
    assert "unverified claims" in workplace("inspect", "signed.json").stdout


def test_setup_list_shows_the_dev_setup(shell, home, digits):
    outcome = shell("setup", "list", "--json")
    assert outcome.status == 0
    assert {"insecure-dev"} <= {setup["ceremony"] for setup in outcome.document["setups"]}


def test_setup_check_and_import_accept_a_valid_file(home, digits, tmp_path):
    newcomer = Shell(tmp_path / "new home", tmp_path)
    file = home.setups.insecure_dev(6).path
    checked = newcomer("setup", "check", file, "--json")
    imported = newcomer("setup", "import", file, "--json")
    assert (checked.status, imported.status) == (0, 0)
    assert checked.document["sha256"] == imported.document["sha256"]
    assert newcomer("setup", "list", "--json").document["setups"][0]["k"] == 6


@pytest.mark.parametrize("command", ["check", "import"])
def test_setup_with_one_changed_byte_is_refused(home, digits, tmp_path, command):
    data = bytearray(home.setups.insecure_dev(6).path.read_bytes())
    data[4 + 64 * 20 + 5] ^= 1
    (tmp_path / "bad.srs").write_bytes(data)
    outcome = Shell(tmp_path / "new home", tmp_path)("setup", command, "bad.srs", "--json")
    assert outcome.status == 1
    assert outcome.document["error"]["type"] == "SetupError"


# --- output


def test_no_color_and_forced_color_are_obeyed(workplace):
    arguments = ("verify", "offline.json", "--model", bench.MODEL, DEV)
    plain = workplace.process(*arguments, NO_COLOR="1", FORCE_COLOR="1")
    coloured = workplace.process(*arguments, FORCE_COLOR="1")
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]m", plain.stdout + plain.stderr)
    assert ESCAPE in coloured.stdout


def test_output_without_a_terminal_has_no_escape_codes(workplace):
    outcome = workplace.process("verify", "offline.json", "--model", bench.MODEL, DEV)
    assert ESCAPE not in outcome.stderr + outcome.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("compile",),
        ("prove", "c"),
        ("verify", "a.json"),
        ("verify", "a.json", "--model"),
        ("nonsense",),
        ("prove", "c", "--input", "i.json", "--out", "o.json", "--chain-id", "-1"),
        ("keys", "new", "--out", "k", "--algorithm", "rsa"),
        ("setup", "fetch", "99"),
    ],
)
def test_usage_error_exits_with_2_and_is_reported_on_stderr(shell, arguments):
    outcome = shell(*arguments)
    assert (outcome.status, outcome.stdout) == (2, "")
    assert "Error" in outcome.stderr


def test_version_names_the_engine(shell):
    outcome = shell.process("--version")
    assert outcome.status == 0
    assert re.fullmatch(r"zkinfer \S+ \(engines: ezkl/\S+, ashlar/.+\)\n", outcome.stdout)


def test_closed_pipe_causes_no_traceback(workplace):
    with workplace.start("inspect", "signed.json", "--json") as process:
        process.stdout.close()
        stderr = process.stderr.read()
    assert "Traceback" not in stderr
