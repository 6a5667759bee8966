// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IERC2981} from "@openzeppelin/contracts/interfaces/IERC2981.sol";
import {IERC7007} from "./IERC7007.sol";
import {IInferenceLedger, Request} from "./IInferenceLedger.sol";
import {IMarket} from "./IMarket.sol";

/// @notice What a work is.
enum Kind {
    Image,
    Text,
    Audio,
    Video,
    Model,
    Adapter,
    Prompt,
    Workflow,
    Dataset,
    Other
}

/// @notice How a work was made, in the terms of the IPTC's digital source types, as its creator states it.
/// @dev Human: digitalCreation or digitalCapture. Composite: compositeWithTrainedAlgorithmicMedia. Generated:
/// trainedAlgorithmicMedia.
enum Origin {
    Unstated,
    Human,
    Composite,
    Generated
}

/// @notice Whether a work was found similar to an older one, and what became of it. Only Upheld has an effect: no more
/// licences are sold.
enum Standing {
    Clear,
    Flagged,
    Contested,
    Upheld
}

/// @notice A registered work.
/// @param creator Who registered it, or signed its registration; or for whom the requester of the proven answer
/// registered it. Part of its id.
/// @param since When its commitment was made, or else when it was registered, in Unix seconds.
/// @param kind What it is; claimed.
/// @param origin How it was made; claimed, unless `record` is set.
/// @param standing Whether a similar older work was found.
/// @param resaleBps The royalty of a resale, in hundredths of a percent.
/// @param content SHA-256 of the file; a salted commitment where it is not public; SHA-256 of the output words where
/// its generation is proven.
/// @param manifest SHA-256 of the C2PA manifest store, or 0; claimed.
/// @param attestation SHA-256 of a signed statement, or 0; nobody checks it here.
/// @param pixels The commitment to its normalised pixels as inputs of a fingerprint circuit, or 0; claimed.
/// @param record The ledger's record that proves its generation, or 0.
struct Work {
    address creator;
    uint40 since;
    Kind kind;
    Origin origin;
    Standing standing;
    uint16 resaleBps;
    bytes32 content;
    bytes32 manifest;
    bytes32 attestation;
    bytes32 pixels;
    bytes32 record;
}

/// @notice What a creator registers; see Work.
/// @param salt The salt of an earlier commitment, whose time then counts; or 0.
/// @param licences The creator's licences under which the work was derived: one for each parent.
/// @param offers Further parents: these offers are accepted on the way, for the creator, and paid with the value sent.
/// @param uri Where to find the certificate and the file. It is kept in the event only: storing it costs more than all
/// other fields.
struct Registration {
    bytes32 content;
    bytes32 salt;
    bytes32 manifest;
    bytes32 attestation;
    bytes32 pixels;
    Kind kind;
    Origin origin;
    uint16 resaleBps;
    uint256[] licences;
    bytes32[] offers;
    string uri;
}

/// @title Works, and what they were derived from
/// @notice A work is a data set, a model, an adapter, a prompt, an image and so on. Each is a token (ERC-721, ERC-2981,
/// ERC-4906, ERC-7007) with up to eight parents, whose shares in its income are fixed for ever by the licences that it
/// was derived under. Nothing here says who owns a copyright: a registration is its creator's claim, and its time.
interface IWorks is IERC2981, IERC7007 {
    /// @notice A commitment to a work was made. Only the first of equal ones counts.
    event Committed(bytes32 indexed commitment);
    /// @notice A work was registered.
    event WorkRegistered(
        uint256 indexed work,
        address indexed creator,
        bytes32 indexed content,
        Work record,
        uint256[] parents,
        string uri
    );
    /// @notice A work is proven to be a model's answer.
    event GenerationProven(uint256 indexed work, bytes32 indexed record, bytes32 indexed listing);
    /// @notice A work's standing changed; `older` is the work that it was found similar to.
    event StandingChanged(uint256 indexed work, Standing standing, uint256 older);
    /// @notice A work's till was opened.
    event TillOpened(uint256 indexed work, address till);
    /// @notice A creator lets an account register proven works in his name, or no longer.
    event RegistrarSet(address indexed creator, address indexed registrar, bool allowed);

    /// @notice The creator registered this content before.
    error AlreadyRegistered(uint256 work);
    /// @notice A digest of the content is missing.
    error ContentMissing();
    /// @notice The commitment was made before; its time stays.
    error AlreadyCommitted(bytes32 commitment);
    /// @notice No such commitment was made: creator, content, pixels or salt differ.
    error Uncommitted(bytes32 commitment);
    /// @notice The royalty of a resale exceeds the limit.
    error ResaleTooHigh(uint16 resaleBps);
    /// @notice The creator's agreement has expired.
    error AgreementExpired(uint256 deadline);
    /// @notice The creator did not sign exactly this registration for these works.
    error BadSignature();
    /// @notice Only the requester of an answer may register it.
    error NotTheRequester(address requester);
    /// @notice The creator does not let the caller register in his name.
    error NotRegistrar(address creator, address caller);
    /// @notice The content is not the SHA-256 of the answer's output words.
    error ContentMismatch(bytes32 expected, bytes32 actual);
    /// @notice A record makes one work.
    error RecordUsed(bytes32 record);
    /// @notice The work's generation was proven before.
    error AlreadyProven(uint256 work);
    /// @notice A model's answer must be stated to be generated.
    error NotGenerated(Origin origin);
    /// @notice The data of ERC-7007 are not a request, its output words and an empty proof.
    error NotAnAnswer();
    /// @notice A work has at most eight parents.
    error TooManyParents();
    /// @notice A parent is named once.
    error DuplicateParent(uint256 parent);
    /// @notice The shares of the parents exceed half of the income.
    error TooMuchShared(uint256 bps);
    /// @notice Only the contract that compares works changes their standing.
    error NotSimilarity(address caller);
    /// @notice The contract that compares works could not be created.
    error SimilarityFailed();
    /// @notice A contract that these works rely on has no code.
    error CodeMissing(address account);

    /// @notice Prove the time of a work without showing it.
    /// @dev It binds the pixels, or an early commitment could be given the pixels of somebody's later picture.
    /// @param commitment keccak256(abi.encode(creator, content, pixels, salt)), with a secret salt other than 0.
    function commit(bytes32 commitment) external;

    /// @notice Register a work of the caller.
    /// @dev The value sent must be the sum of the prices of the offers that are accepted. This holds for all three ways.
    /// @param what The work.
    /// @return work Its id.
    function register(Registration calldata what) external payable returns (uint256 work);

    /// @notice Register a work for a creator who signed; whoever sends it pays.
    /// @dev A signature cannot be used again, as a creator registers a content once.
    /// @param what The work.
    /// @param creator The creator, whose licences are used and who gets the token.
    /// @param deadline The last time at which this may be done, in Unix seconds.
    /// @param signature The creator's over `digestOf`, by ECDSA or ERC-1271.
    /// @return work Its id.
    function registerFor(Registration calldata what, address creator, uint256 deadline, bytes calldata signature)
        external
        payable
        returns (uint256 work);

    /// @notice Register a model's answer, as the requester of the answer.
    /// @dev The creator does not sign, so the requester is the creator, or a registrar of his (`setRegistrar`): a
    /// registration uses his licences, and fixes for ever with whom his work shares. A registrar cannot move tokens.
    /// @param what The work; its content is the SHA-256 of the output words.
    /// @param creator The creator, whose licences are used and who gets the token.
    /// @param request The request.
    /// @param outputs The recorded outputs.
    /// @return work Its id.
    function registerProven(
        Registration calldata what,
        address creator,
        Request calldata request,
        int256[] calldata outputs
    ) external payable returns (uint256 work);

    /// @notice Let an account register answers of models in the caller's name, or no longer.
    /// @param registrar The account, such as a contract that has pictures painted.
    /// @param allowed Whether it may.
    function setRegistrar(address registrar, bool allowed) external;

    /// @notice Create the till of a work, unless it exists.
    /// @param work The work.
    /// @return till Its address, which was known before.
    function openTill(uint256 work) external returns (address till);

    /// @notice Change a work's standing, as the contract that compares works.
    /// @param work The work.
    /// @param standing Its new standing.
    /// @param older The work that it was found similar to.
    function setStanding(uint256 work, Standing standing, uint256 older) external;

    /// @notice Where licences are sold and income is shared.
    // forge-lint: disable-next-line(mixed-case-function)
    function MARKET() external view returns (IMarket);

    /// @notice Where answers of models are recorded.
    // forge-lint: disable-next-line(mixed-case-function)
    function LEDGER() external view returns (IInferenceLedger);

    /// @notice The contract that compares works and alone changes their standing; zero if there is none.
    // forge-lint: disable-next-line(mixed-case-function)
    function SIMILARITY() external view returns (address);

    /// @notice The code that all tills run.
    // forge-lint: disable-next-line(mixed-case-function)
    function TILL() external view returns (address);

    /// @notice The chain that these works were deployed on; part of every id.
    // forge-lint: disable-next-line(mixed-case-function)
    function HOME_CHAIN() external view returns (uint256);

    /// @notice The id of a creator's work: keccak256(abi.encode(HOME_CHAIN, this contract, creator, content)).
    /// @param creator The creator.
    /// @param content The content's digest.
    function idOf(address creator, bytes32 content) external view returns (uint256 work);

    /// @notice What a creator signs for `registerFor`, by EIP-712.
    /// @param what The work.
    /// @param creator The creator.
    /// @param deadline The last time at which it may be registered, in Unix seconds.
    function digestOf(Registration calldata what, address creator, uint256 deadline)
        external
        view
        returns (bytes32 digest);

    /// @notice When a commitment was made, in Unix seconds; 0 if it was not.
    /// @param commitment The commitment.
    function committedAt(bytes32 commitment) external view returns (uint40 time);

    /// @notice Whether an account may register answers of models in a creator's name.
    /// @param creator The creator.
    /// @param registrar The account.
    function isRegistrar(address creator, address registrar) external view returns (bool allowed);

    /// @notice Everything stored about a work; reverts if there is none.
    /// @param work The work.
    function workOf(uint256 work) external view returns (Work memory);

    /// @notice A work's standing; Clear also if there is no such work.
    /// @param work The work.
    function standingOf(uint256 work) external view returns (Standing);

    /// @notice The work whose generation a record proves; 0 if there is none.
    /// @param record The record.
    function workOfRecord(bytes32 record) external view returns (uint256 work);

    /// @notice What a work was derived from, and the shares in its income, in hundredths of a percent.
    /// @param work The work.
    function parentsOf(uint256 work) external view returns (uint256[] memory parents, uint16[] memory bps);

    /// @notice The address of a work's till, whether it is open or not. Coin that is sent there belongs to the work.
    /// @param work The work.
    function tillOf(uint256 work) external view returns (address till);
}
