"""What the errors of the feed contracts mean, and what to do about each."""

from __future__ import annotations

from typing import Final

_AGAIN: Final = "Make the report again with this version: zkinfer oracle report"
_OWNER: Final = "Ask the feed's owner to choose others: zkinfer oracle create --signers"
_FACE: Final = "Deploy the door again with the addresses of this deployment."

FEED_REVERTS: Final[dict[str, tuple[str, str]]] = {
    # A feed and its signers
    "UnknownFeed(bytes32)": (
        "There is no such feed on this chain.",
        "Check the feed's id and the chain, or create it: zkinfer oracle create",
    ),
    "FeedExists(bytes32)": ("The feed was created before.", "Use it: zkinfer oracle status"),
    "NotFeedOwner(address,address)": (
        "Only the owner that the feed file names creates the feed and chooses its signers.",
        "Pay with the owner's account, or make a feed of your own: zkinfer oracle init --owner",
    ),
    "ImpossibleSpec(string)": (
        "No feed of this model can have that value. Inputs must be public, and a source must exist.",
        "Make the feed again with another value: zkinfer oracle init",
    ),
    "ListingNotActive(bytes32)": (
        "The model was deprecated or revoked.",
        "Register the circuit's next version, and make a feed of it: zkinfer chain register",
    ),
    "UnknownListing(bytes32)": (
        "No such model is registered on this chain, from that publisher.",
        "Register the circuit: zkinfer chain register. If another account did, name it as the publisher.",
    ),
    "UnknownConfig(bytes32)": ("Nobody has set these signers.", "Set them: zkinfer oracle create --signers"),
    "SignersNotAscending()": (
        "Signers are 1 to 31 different addresses in ascending order, none of them zero.",
        "Sort them, and give each once.",
    ),
    "ImpossibleThreshold(uint8,uint256)": (
        "At least one signer must sign, and at most all of them.",
        "Choose another --threshold.",
    ),
    "NoSigners(bytes32)": (
        "A contract gives this feed's inputs, so nobody signs.",
        "Create the feed without --signers.",
    ),
    "ConfigContradicted(bytes32,bytes32)": (
        "A proof contradicted these signers of this feed before.",
        "Choose others: zkinfer oracle create --signers",
    ),
    # A report
    "NonCanonicalPayload()": ("The bytes are not the one encoding of a report.", _AGAIN),
    "WrongConfig(bytes32,bytes32)": (
        "The report was made for other signers than the feed's.",
        "Bring the feed file up to date, and make the report again: zkinfer oracle report",
    ),
    "NotEnoughSigners(uint256,uint256)": (
        "Fewer have signed than must.",
        "Make the report again with more keys: zkinfer oracle report --keystore",
    ),
    "BadSignature(uint256)": ("A signature is invalid, or in its second form.", _AGAIN),
    "BadSigner(address)": (
        "This account is not one of the feed's signers, or the signatures are not in their order.",
        f"Sign with the key of a signer. {_OWNER}",
    ),
    "ReportMismatch(bytes32,bytes32)": ("The report does not follow from its feed, time and answer.", _AGAIN),
    "ExtraMismatch(bytes32,bytes32)": ("The report was signed for another source file or other inputs.", _AGAIN),
    "WrongRound(uint256,uint256)": ("The round does not follow from the time of the observation.", _AGAIN),
    "WrongTime(uint40,uint256)": ("The feed's source gives another time for this round.", _AGAIN),
    "FromTheFuture(uint256)": (
        "The observation is later than the chain's last block.",
        "Post it after the next block. If that does not help, check the clock of the machine that made it.",
    ),
    "TooOld(uint256)": (
        "The report is older than the feed's maximum age, so it begins no round.",
        "Make a new one: zkinfer oracle report",
    ),
    "OutOfBounds(int256)": (
        "The answer is out of the feed's bounds, and is never clamped.",
        "Check the source. Other bounds are another feed: zkinfer oracle init",
    ),
    "OutOfBounds(int256,uint256)": (
        "A value is out of the range that is asked of it.",
        "Check the circuit's outputs, and the range.",
    ),
    "ProofMissing(bytes32)": (
        "Without signers, or to raise a round's level, a report needs its proof.",
        "Make it with one: zkinfer oracle report --prove",
    ),
    "AnswerMismatch(int192,int256)": ("Without signers, the answer is exactly the proven one.", _AGAIN),
    "InputMismatch(bytes32,bytes32)": (
        "The proof is about other inputs than the request or the report.",
        "Prove the inputs that it names.",
    ),
    "InputLengthMismatch(uint256,uint256)": ("The inputs do not have the model's size.", _AGAIN),
    "NotComparable()": (
        "The output has too many fractional bits or decimals to be converted.",
        "Compile a circuit with a smaller scale, or choose fewer decimals.",
    ),
    "RoundHasAnswer(bytes32,uint40,int192,uint40)": (
        "The round has another answer, which never changes.",
        "Post the report of a later round.",
    ),
    "ValueRefused()": ("Nothing is to be paid, and no value is held.", "Send the transaction without value."),
    "StoreFailed()": ("The signers could not be stored.", "Send the transaction with more gas."),
    "NothingStored(address)": ("Nothing is stored at that address.", "Is it another deployment's? Check --deployment."),
    "SizeOutOfRange(uint256)": ("There is too much to store, or nothing.", "Register a smaller circuit."),
    # Reads
    "NoData(bytes32)": (
        "The feed has no answer of that round and level.",
        "Ask for another round, or wait for the next: zkinfer oracle status",
    ),
    "LevelMissing()": ("A read names a level, attested or proven.", "Name the level."),
    "FeedStopped(bytes32)": (
        "The model was revoked, or its verifier stopped, so proofs mean nothing now.",
        "Look at the listing: zkinfer chain verify-listing. A feed of another model is another feed.",
    ),
    "FeedContradicted(bytes32)": ("A proof contradicted the feed's signers.", f"Read proven answers. {_OWNER}"),
    "TooOldToRead(uint256)": (
        "The newest answer is older than the caller accepts.",
        "Wait for the next round: zkinfer oracle status",
    ),
    "NegativeAnswer(int192)": ("This reader cannot express a negative answer.", "Read the hub or a face instead."),
    # The source on the chain
    "ImpossibleSource(string)": (
        "No source can have that argument.",
        "Make the feed again with another source: zkinfer oracle init",
    ),
    "WrongRecipe(bytes32,bytes32)": (
        "The feed names another recipe than its source follows.",
        "Give the source with which the feed was made: zkinfer oracle create --source",
    ),
    "BadHint()": ("The report names no round of the aggregator.", _AGAIN),
    "TooEarly(uint256)": ("That time has not come, or is that of the block itself.", "Try again after it."),
    "NotYet(uint80,uint256)": ("The aggregator's round is later than the time.", _AGAIN),
    "TooOld(uint80,uint256)": (
        "The aggregator's last answer was older than its source takes.",
        "Has the aggregator stopped? A feed with a greater --max-age is another feed: zkinfer oracle init",
    ),
    "NotTheLast(uint80,uint256)": ("The aggregator had a later round at or before the time.", _AGAIN),
    "PhaseTooShort(uint80)": (
        "The aggregator's present phase has too few answers.",
        "Wait until it has enough.",
    ),
    "NoAnswer(uint80,int256)": (
        "The aggregator has no positive answer for this round.",
        "Wait until so many rounds have passed as the model reads.",
    ),
    "DoesNotFit(int256)": (
        "A number does not fit the model's inputs.",
        "Wait until it has passed, or make a feed of a circuit with wider inputs.",
    ),
    # The proxy and the doors
    "DecimalsDiffer(uint8,uint8)": (
        "The face has other decimals, so its answers would be misread.",
        "Propose the face of a feed with the same decimals.",
    ),
    "NotProposed(address,address)": ("The face is not the proposed one.", "Propose it, and wait."),
    "TooLate(uint256)": ("The proposal is too old.", "Propose the face again."),
    "UnknownPhase(uint256)": ("There was no such phase.", "Ask for a round of another phase."),
    "RenouncingRefused()": ("The contract cannot be without an owner.", "Transfer it to another owner."),
    "OwnableUnauthorizedAccount(address)": ("Only the owner may do this.", "Send it from the owner's account."),
    "OwnableInvalidOwner(address)": ("That account cannot be the owner.", "Name another account."),
    "AddressMissing()": ("A forwarder and a workflow's owner are needed.", _FACE),
    "NotForwarder(address)": ("Only the forwarder delivers reports.", _FACE),
    "MetadataTooShort(uint256)": ("The metadata names no workflow's owner.", "Check the workflow's report."),
    "NotWorkflowOwner(address)": ("The report is of a workflow of another owner.", _FACE),
}
"""By an error's signature: what it means, and the cure."""
