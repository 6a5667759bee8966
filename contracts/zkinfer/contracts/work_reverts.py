"""What the errors of the works' contracts mean, and what to do about each."""

from __future__ import annotations

from typing import Final

_DEFECT: Final = "Report this as a defect of zkinfer, with the command that you ran."
_SHOW: Final = "Look at it: zkinfer works status WORK"
_LOOK: Final = "Check the address and the chain: zkinfer works status WORK"

WORK_REVERTS: Final[dict[str, tuple[str, str]]] = {
    # Registering a work
    "AlreadyRegistered(uint256)": ("The creator registered this content before.", _SHOW),
    "ContentMissing()": ("A work needs the digest of its content.", "Certify the file: zkinfer works certify"),
    "AlreadyCommitted(bytes32)": ("The commitment was made before, and its time stays.", "Register the work."),
    "Uncommitted(bytes32)": (
        "No such commitment was made: creator, content, pixels or salt differ.",
        "Register exactly what was committed to, with the same salt, or without a salt.",
    ),
    "ResaleTooHigh(uint16)": ("The royalty of a resale is at most 10 percent.", "Lower --resale."),
    "AgreementExpired(uint256)": (
        "The creator's agreement has expired.",
        "Ask the creator for another one: zkinfer works agree",
    ),
    "BadSignature()": (
        "The creator did not sign exactly this registration for these works.",
        "Ask the creator to sign this certificate for these works: zkinfer works agree",
    ),
    "NotRegistrar(address,address)": (
        "The creator does not let this account register answers in his name.",
        "Let the creator call setRegistrar on Works, or register it himself.",
    ),
    "NotTheRequester(address)": (
        "Only the account that requested the answer may register it.",
        "Pay with the account of the request.",
    ),
    "ContentMismatch(bytes32,bytes32)": (
        "The content is not the SHA-256 of the answer's output words.",
        "Give the attestation of the recorded answer with --attestation.",
    ),
    "RecordUsed(bytes32)": ("Another work was registered for this record.", "Request and prove another answer."),
    "AlreadyProven(uint256)": ("The work's generation was proven before.", _SHOW),
    "NotGenerated(uint8)": (
        "The certificate names another origin than generated.",
        "Certify the answer with --origin generated.",
    ),
    "NotAnAnswer()": ("The data are not a request, its output words and an empty proof.", _DEFECT),
    "TooManyParents()": ("A work has at most eight parents.", "Name the most important ones."),
    "DuplicateParent(uint256)": ("A parent is named twice.", "Give one licence or offer for each parent."),
    "TooMuchShared(uint256)": (
        "The shares of the parents exceed half of the income.",
        "Derive from fewer works, or take licences with lower shares.",
    ),
    "NotSimilarity(address)": ("Only the contract that compares works changes their standing.", _DEFECT),
    "SimilarityFailed()": (
        "The contract that compares fingerprints could not be created.",
        "Check --print-listing: a listing of 256 fingerprint outputs with public inputs.",
    ),
    "CodeMissing(address)": ("The ledger's address has no code.", "Deploy zkinfer first: zkinfer chain deploy"),
    "CreationFailed()": ("A till could not be created.", "Try again with more gas."),
    # The token
    "ERC721NonexistentToken(uint256)": ("There is no such work.", _LOOK),
    "ERC721IncorrectOwner(address,uint256,address)": ("The token belongs to another account.", _SHOW),
    "ERC721InsufficientApproval(address,uint256)": (
        "The account neither owns the token nor is approved for it.",
        "Pay with the owner's account.",
    ),
    "ERC721InvalidApprover(address)": ("Only the owner approves others.", "Pay with the owner's account."),
    "ERC721InvalidOperator(address)": ("The zero address cannot be approved.", "Name another account."),
    "ERC721InvalidOwner(address)": ("The zero address owns nothing.", "Name another account."),
    "ERC721InvalidReceiver(address)": ("The receiver does not take tokens.", "Name another account."),
    "ERC721InvalidSender(address)": ("The zero address sends nothing.", _DEFECT),
    "InvalidShortString()": ("A stored text is malformed.", _DEFECT),
    "StringTooLong(string)": ("A stored text is too long.", _DEFECT),
    # Licences and income
    "NotOwner(address)": ("Only the owner of the work may do this.", "Pay with the owner's account."),
    "NotWorks(address)": ("Only the contract of the works may do this.", _DEFECT),
    "WrongPrice(uint256,uint256)": ("The value sent is not the price.", "Read the offer again, and try once more."),
    "NotOnOffer(bytes32)": ("There is no such offer, or it was withdrawn.", "Ask the owner for another one."),
    "NotLicensed(uint256)": (
        "There is no such licence, its holder is another account, or it has run out.",
        "Buy one: zkinfer works buy OFFER",
    ),
    "UseNotGranted(uint8)": (
        "These uses are not permitted, unknown, or none. A derivative cannot permit what its parents do not.",
        "Offer less, or buy a licence that permits more.",
    ),
    "AttributionOwed(uint256)": (
        "A licence of a parent asks for attribution, so the work's offers must.",
        "Add attribution to --uses.",
    ),
    "WorkBlocked(uint256)": (
        "The work was found to be a copy of an older one, so no more licences of it are sold.",
        "Buy a licence of the older work.",
    ),
    "UnknownWork(uint256)": ("There is no such work.", _LOOK),
    "NothingToWithdraw()": (
        "Nothing is credited to the paying account.",
        "Pay with the account that earned; what works earned is credited by: zkinfer works settle WORK",
    ),
    "NothingToSweep()": ("The till is empty.", "Wait for the next payment."),
    "NotAContributor(address,uint128)": (
        "The fund's root does not have this account with this weight.",
        "Give the file that was published with the fund.",
    ),
    "NothingDue(address)": ("Nothing is due to this contributor now.", "Wait for the data set's next income."),
    "RootMissing()": ("A fund needs the root of its contributors.", "Make the data set: zkinfer works dataset build"),
    "WeightMissing()": ("A fund needs the sum of all weights.", "Make the data set: zkinfer works dataset build"),
    "MarketMissing()": ("The market's address has no code.", "Check --works and the chain."),
    "SafeCastOverflowedUintDowncast(uint8,uint256)": ("The amount is too large.", "Pay less."),
    # Fingerprints
    "NotPrinted(uint256)": ("The work has no proven fingerprint.", "Prove it: zkinfer works record-print"),
    "AlreadyPrinted(uint256)": ("The work has a fingerprint that is at least as sure.", _SHOW),
    "ForeignListing(bytes32)": (
        "The answer is of another model than the fingerprint's.",
        "Request the answer of the listing that these works compare.",
    ),
    "PixelsMismatch(bytes32,bytes32)": (
        "The fingerprint is of other pixels than the work was registered with.",
        "Prove the fingerprint of the certified file.",
    ),
    "WrongLength(uint256)": ("Evidence takes a fingerprint of 256 bits.", "Use a circuit of `works print-circuit`."),
    "NotTheMedian(uint256)": ("The bits are not those of the outputs.", _DEFECT),
    "UnfitListing(bytes32)": ("The listing is no fingerprint circuit.", "Register one: zkinfer works print-circuit"),
    "UnfitMargin(uint256)": ("The margin is zero or too large.", "Use the one of this version."),
    "TooFar(uint16,uint16)": ("The fingerprints are not near enough to flag.", "Nothing is wrong: they differ."),
    "NotOlder(uint40,uint40)": ("The other work is not older by a day.", "Only an older work's owner can flag."),
    "Related(uint256,uint256)": ("One work was derived from the other, or both have one owner.", _SHOW),
    "OlderIsUpheld(uint256)": ("The older work was itself found to be a copy.", _SHOW),
    "AlreadyFlagged(uint256,uint256)": ("This pair was flagged before; a closed flag stays closed.", _SHOW),
    "AlreadyContested(uint256,uint256)": ("The flag was contested before.", _SHOW),
    "NotYours(address)": ("The work belongs to another account.", "Pay with the owner's account."),
    "WrongStage(uint8)": ("The flag is at another stage.", _SHOW),
    "NotAPath()": ("The works named do not lead from child to parent.", "Name every work on the way."),
    "TooEarly(uint40)": ("The time to answer has not passed.", "Wait until it has."),
    "EvidenceVoid()": (
        "The fingerprint's model was revoked or its verifier stopped, so no flag rests on it.",
        "Flags can be released by anybody now.",
    ),
    # The studio
    "AlreadyAnswered(bytes32)": ("The contract has acted on this answer before.", "Nothing is left to do."),
    "ForeignRequest()": ("The contract did not make this request.", "Give the request of its order."),
    "NonCanonicalCalldata()": ("The bytes are not in their one encoding.", _DEFECT),
    "NotAPrompt(uint256)": ("The work is no prompt.", "Order with a work of the kind prompt."),
    "NotRegistrar(address)": (
        "The buyer does not let the studio register works in his name.",
        "Order again with --allow-studio, or call setRegistrar on Works with the studio's address.",
    ),
    "NotTheModel(bytes32,uint256)": (
        "The work's till does not own the studio's listing.",
        "Let it own the listing first: zkinfer works till accept WORK --listing ID",
    ),
    "UnfitLicence(uint256)": (
        "The licence is of another work or holder, has run out, or lacks a use.",
        "Give a licence of yours with the use derivatives, or an offer of one: zkinfer works studio commission --offer",
    ),
    "ValueBelowFee(uint256,uint256)": ("The value does not cover the model's fee.", "Send more."),
}
