"""Names that an attacker may choose, and reports that quote them everywhere."""

from dataclasses import replace
from types import MappingProxyType

from tests.unit.verifier import forge

from zkinfer.verifier import Step
from zkinfer.verifier.inference import SEAL

NAMES = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</title></style></script><svg/onload=alert(1)>",
    "&lt;b&gt;&#60;i&#62;",
    "![a](https://evil.example/x.png)",
    "[click](javascript:alert(1)) https://evil.example www.evil.example",
    "`` ` ``` code",
    "# heading\n\n- list\n| a | b |\n---\n1. one",
    "*bold* _em_ ~~gone~~ $x$ \\",
    "\x00\x07\x1b[2J\x9b\x7f",
    "exe\u202egnp.\u2066\u2069\u200f\u200b\ufeff\u2028",
    "שלום 文字 🙂 \ue000 \U0010ffff",
    '<font color="[[[getattr(pow,Word(__import__)]]]">x</font>',
    "<para><a href='file:///etc/passwd'>x</a><img src='/etc/passwd'/></para>",
    "a" * 5000,
    "{{7*7}} %s {0} ${x}",
)


def quoting(verdict, name):
    """The verdict with this text in every place that foreign text can come to."""
    inference = verdict.inference
    steps = [Step(step.number, step.title, step.status, name) for step in verdict.steps]
    if inference is None:
        return replace(verdict, steps=steps, refusal=type(verdict.refusal)(name, name))
    recipe = inference.recipe.model_copy(update={"engine": name})
    changed = {
        "recipe": recipe,
        "signer": name,
        "labels": (name,),
        "inputs": MappingProxyType(dict.fromkeys([name], forge.X)),
        "outputs": MappingProxyType(dict.fromkeys([name], forge.X)),
    }
    return replace(verdict, steps=steps, inference=replace(inference, **changed, seal=SEAL))


def everywhere(report_on, verdict, name):
    """A report that quotes the text everywhere, also as the names of files."""
    files = {"attestation": name, "model": name, "circuit": name, "input_": name, "policy": name, "signers": (name,)}
    return report_on(quoting(verdict, name), command=("zkinfer", "verify", name), **files)
