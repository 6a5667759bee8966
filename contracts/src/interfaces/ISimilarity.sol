// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IInferenceLedger, Request} from "./IInferenceLedger.sol";
import {IWorks} from "./IWorks.sol";

/// @notice The proven fingerprint of a work: the 256 bits of its ISCC Image-Code (ISO 24138).
/// @param bits The code, most significant bit first: in each of its four blocks of 64, those coefficients are set that
/// exceed the block's median.
/// @param sure Those bits that no rounding can have changed.
struct Print {
    uint256 bits;
    uint256 sure;
}

/// @notice What became of a flag. A pair of works is flagged once: Released is for ever.
enum Stage {
    None,
    Flagged,
    Contested,
    Upheld,
    Released
}

/// @notice A flag of a younger work by an older one.
/// @param stage What became of it.
/// @param answerBy Until then silence has no effect, in Unix seconds.
/// @param contested Whether it was contested.
struct Flag {
    Stage stage;
    uint40 answerBy;
    bool contested;
}

/// @title Flags on works whose pictures are nearly those of older works
/// @notice What a flag states is proven: these committed pixels and those have fingerprints that differ in so few bits,
/// and these were committed a day earlier at least. That one was derived from the other is not, and never can be; nor is
/// it that a file holds the committed pixels, which its creator claims: a work with false pixels, or none, is out of
/// reach here, and a look-up by the file shows it. So a flag asks the younger work's owner for an answer, and an upheld
/// one ends the sale of licences. It moves no money and no token, and licences that were sold stay.
interface ISimilarity {
    /// @notice A work's fingerprint was proven, or one with more sure bits was.
    event Printed(uint256 indexed work, uint256 bits, uint256 sure, bytes32 record);
    /// @notice A work was flagged: `distance` of the `compared` bits differ.
    event Flagged(uint256 indexed younger, uint256 indexed older, uint16 distance, uint16 compared, uint40 answerBy);
    /// @notice The owner of a flagged work showed a licence of the older one.
    event Acknowledged(uint256 indexed younger, uint256 indexed older, uint256 licence);
    /// @notice The owner or the creator of a flagged work gave reasons against it.
    event Contested(uint256 indexed younger, uint256 indexed older, string uri);
    /// @notice A flag was upheld.
    event Upheld(uint256 indexed younger, uint256 indexed older);
    /// @notice A flag was ended, for ever; by the account that called.
    event Released(uint256 indexed younger, uint256 indexed older, address by);

    /// @notice Answers of this listing are not fingerprints of 256 coefficients with committed inputs.
    error UnfitListing(bytes32 listing);
    /// @notice The margin is zero, or too large to compare with.
    error UnfitMargin(uint256 margin);
    /// @notice The answer is another model's.
    error ForeignListing(bytes32 listing);
    /// @notice The work commits to no pixels, or to others than those of the answer.
    error PixelsMismatch(bytes32 expected, bytes32 actual);
    /// @notice The work has a fingerprint with as many sure bits.
    error AlreadyPrinted(uint256 work);
    /// @notice The work's fingerprint has not been proven.
    error NotPrinted(uint256 work);
    /// @notice The fingerprints differ in too many bits, or too few are sure in both.
    error TooFar(uint16 distance, uint16 compared);
    /// @notice The older work is not a day older.
    error NotOlder(uint40 older, uint40 younger);
    /// @notice One was derived from the other, or both have the same owner: there is nothing undeclared.
    error Related(uint256 younger, uint256 older);
    /// @notice The work was itself found to be a copy of an older one, so it flags no other.
    error OlderIsUpheld(uint256 older);
    /// @notice The older work has flagged this one before.
    error AlreadyFlagged(uint256 younger, uint256 older);
    /// @notice The flag is not in a stage that allows this.
    error WrongStage(Stage stage);
    /// @notice The flag was contested before.
    error AlreadyContested(uint256 younger, uint256 older);
    /// @notice Only another account may do this: the owner of a work, or the arbiter.
    error NotYours(address caller);
    /// @notice The younger work's owner may still answer.
    error TooEarly(uint40 answerBy);
    /// @notice The licence does not allow the owner of the younger work to derive from the older.
    error NotLicensed(uint256 licence);
    /// @notice The path does not lead from one of the works to the other, from child to parent at each step.
    error NotAPath();
    /// @notice The fingerprints may be forged: their model was revoked, or its verifier stopped.
    error EvidenceVoid();

    /// @notice Store the proven fingerprint of a work; see ImageCode for what is checked. Open to everyone: it is a fact about the committed pixels.
    /// @dev All prints of the same pixels agree in the bits that are sure in both, whatever rounding their provers
    /// chose. So a print can be replaced, by one with more sure bits only.
    /// @param work The work; its `pixels` are the request's input commitment.
    /// @param request The request to the pinned listing.
    /// @param outputs The recorded coefficients, in the order of the bits.
    /// @param bits The code; see Print.
    function print(uint256 work, Request calldata request, int256[] calldata outputs, uint256 bits) external;

    /// @notice Flag a work, as the owner of an older one.
    /// @param younger The work to flag.
    /// @param older The caller's work.
    function flag(uint256 younger, uint256 older) external;

    /// @notice End a flag, as the owner of the younger work, by a licence to derive from the older one. This is possible
    /// at any time, also when it was upheld.
    /// @param younger The caller's work.
    /// @param older The older work.
    /// @param licence The caller's licence of the older work, with DERIVATIVES.
    function acknowledge(uint256 younger, uint256 older, uint256 licence) external;

    /// @notice Contest a flag, as the owner or the creator of the younger work, once. After that only the arbiter can
    /// uphold it. This is possible at any time, also when it was upheld for want of an answer.
    /// @param younger The caller's work.
    /// @param older The older work.
    /// @param uri Where to find the reasons; kept in the event only.
    function contest(uint256 younger, uint256 older, string calldata uri) external;

    /// @notice Uphold a flag: anybody, if there was no answer in time; the arbiter, if it was contested.
    /// @param younger The flagged work.
    /// @param older The older work.
    function uphold(uint256 younger, uint256 older) external;

    /// @notice End a flag, as the owner of the older work or the arbiter; anybody may, once the evidence is void.
    /// @param younger The flagged work.
    /// @param older The older work.
    function release(uint256 younger, uint256 older) external;

    /// @notice End a flag by showing that one of the works is a declared ancestor of the other. Open to everyone.
    /// @param younger The flagged work.
    /// @param older The older work.
    /// @param path From one of them to the other: each work is a parent of the one before.
    function dismiss(uint256 younger, uint256 older, uint256[] calldata path) external;

    /// @notice In how many bits two fingerprints differ, of those that are sure in both.
    /// @dev This is history: it stays after a stop or a revocation. `isSound` says whether it may be acted on.
    /// @param a A printed work.
    /// @param b Another.
    /// @return distance How many of them differ.
    /// @return compared How many bits are sure in both.
    function distance(uint256 a, uint256 b) external view returns (uint16 distance, uint16 compared);

    /// @notice The fingerprint of a work; zero if it was not proven.
    /// @param work The work.
    function printOf(uint256 work) external view returns (Print memory);

    /// @notice The flag of a younger work by an older one.
    /// @param younger The younger work.
    /// @param older The older work.
    function flagOf(uint256 younger, uint256 older) external view returns (Flag memory);

    /// @notice Whether fingerprints may be acted on: their model is not revoked, and its verifier not stopped.
    function isSound() external view returns (bool);

    /// @notice The contract of the works.
    // forge-lint: disable-next-line(mixed-case-function)
    function WORKS() external view returns (IWorks);

    /// @notice Where fingerprints are recorded.
    // forge-lint: disable-next-line(mixed-case-function)
    function LEDGER() external view returns (IInferenceLedger);

    /// @notice The one model whose answers are fingerprints.
    // forge-lint: disable-next-line(mixed-case-function)
    function LISTING() external view returns (bytes32);

    /// @notice By how much rounding can change a coefficient's distance from the median, in units of the outputs.
    // forge-lint: disable-next-line(mixed-case-function)
    function MARGIN() external view returns (uint256);

    /// @notice Decides on contested flags; zero if nobody does.
    // forge-lint: disable-next-line(mixed-case-function)
    function ARBITER() external view returns (address);
}
