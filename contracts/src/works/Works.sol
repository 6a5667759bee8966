// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IERC2981} from "@openzeppelin/contracts/interfaces/IERC2981.sol";
import {ERC721} from "@openzeppelin/contracts/token/ERC721/ERC721.sol";
import {Strings} from "@openzeppelin/contracts/utils/Strings.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";
import {IERC165} from "@openzeppelin/contracts/utils/introspection/IERC165.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {IERC7007} from "../interfaces/IERC7007.sol";
import {IInferenceLedger, Request} from "../interfaces/IInferenceLedger.sol";
import {IMarket} from "../interfaces/IMarket.sol";
import {IWorks, Origin, Registration, Standing, Work} from "../interfaces/IWorks.sol";
import {TillClones} from "../libraries/TillClones.sol";
import {Market} from "./Market.sol";
import {Till} from "./Till.sol";

/// @title Works, and what they were derived from
/// @notice There is no administrator, no pause and no upgrade. Tokens are minted without asking the receiver, and
/// signatures of contracts are checked by static calls, so a registration calls no code that could re-enter.
contract Works is ERC721, EIP712, IWorks {
    /// @notice The royalty of a resale is at most a tenth.
    uint16 public constant MAX_RESALE_BPS = 1000;
    /// @notice What a creator signs, by EIP-712.
    bytes32 public constant REGISTRATION_TYPE = keccak256(
        "Registration(address creator,bytes32 content,bytes32 salt,bytes32 manifest,bytes32 attestation,bytes32 pixels,"
        "uint8 kind,uint8 origin,uint16 resaleBps,uint256[] licences,bytes32[] offers,string uri,uint256 deadline)"
    );
    /// @inheritdoc IWorks
    IInferenceLedger public immutable override LEDGER;
    /// @inheritdoc IWorks
    IMarket public immutable override MARKET;
    /// @inheritdoc IWorks
    address public immutable override SIMILARITY;
    /// @inheritdoc IWorks
    address public immutable override TILL;
    /// @inheritdoc IWorks
    uint256 public immutable override HOME_CHAIN;
    /// @notice The first part of every token's URI; the decimal id and "/metadata" follow.
    string public baseUri;

    bytes4 private constant ERC4906 = 0x49064906; // its interface has no functions to derive it from
    uint256 private constant REQUEST_SIZE = 0x140;

    mapping(uint256 work => Work) private _works;
    /// @inheritdoc IWorks
    mapping(bytes32 commitment => uint40) public override committedAt;
    /// @inheritdoc IWorks
    mapping(bytes32 record => uint256) public override workOfRecord;
    /// @inheritdoc IWorks
    mapping(address creator => mapping(address registrar => bool)) public override isRegistrar;

    /// @notice A token's metadata changed, as ERC-4906 defines it.
    event MetadataUpdate(uint256 _tokenId);

    /// @param ledger Where answers of models are recorded.
    /// @param base The first part of every token's URI; if it is empty, tokens have none.
    /// @param similarity The creation code, with arguments, of the contract that compares works; it is created here, so
    /// that both know each other. Empty: there is none, and nobody can change a standing.
    constructor(IInferenceLedger ledger, string memory base, bytes memory similarity)
        ERC721("Works", "WORK")
        EIP712("zkinfer works", "1")
    {
        if (address(ledger).code.length == 0) revert CodeMissing(address(ledger));
        LEDGER = ledger;
        HOME_CHAIN = block.chainid;
        baseUri = base;
        SIMILARITY = similarity.length == 0 ? address(0) : _create(similarity);
        MARKET = new Market();
        TILL = address(new Till(MARKET));
    }

    /// @inheritdoc IWorks
    function commit(bytes32 commitment) external override {
        if (committedAt[commitment] != 0) revert AlreadyCommitted(commitment);
        committedAt[commitment] = uint40(block.timestamp);
        emit Committed(commitment);
    }

    /// @inheritdoc IWorks
    function register(Registration calldata what) external payable override returns (uint256 work) {
        return _register(what, msg.sender, 0);
    }

    /// @inheritdoc IWorks
    function registerFor(Registration calldata what, address creator, uint256 deadline, bytes calldata signature)
        external
        payable
        override
        returns (uint256 work)
    {
        if (block.timestamp > deadline) revert AgreementExpired(deadline);
        bytes32 digest = digestOf(what, creator, deadline);
        if (!SignatureChecker.isValidSignatureNowCalldata(creator, digest, signature)) revert BadSignature();
        return _register(what, creator, 0);
    }

    /// @inheritdoc IWorks
    function registerProven(
        Registration calldata what,
        address creator,
        Request calldata request,
        int256[] calldata outputs
    ) external payable override returns (uint256 work) {
        if (request.requester != msg.sender) revert NotTheRequester(request.requester);
        if (creator != msg.sender && !isRegistrar[creator][msg.sender]) revert NotRegistrar(creator, msg.sender);
        if (what.origin != Origin.Generated) revert NotGenerated(what.origin);
        bytes32 record = LEDGER.requireSound(request, outputs);
        bytes memory words = abi.encodePacked(outputs);
        _requireContent(what.content, sha256(words));
        work = _register(what, creator, record);
        _prove(work, record, request.listing);
        emit AigcData(work, abi.encode(request), words, "");
    }

    /// @notice Prove that a work is a model's answer, as its owner, or with the owner's approval, and as the requester of
    /// the answer.
    /// @param tokenId The work. Its content is the SHA-256 of the output words, and its creator did not state another
    /// origin.
    /// @param prompt abi.encode(Request).
    /// @param aigcData The recorded output words: abi.encodePacked(outputs).
    /// @param proof Empty: the ledger has checked it.
    function addAigcData(uint256 tokenId, bytes calldata prompt, bytes calldata aigcData, bytes calldata proof)
        external
        override
    {
        _checkAuthorized(_requireOwned(tokenId), msg.sender, tokenId);
        if (!_isAnswer(prompt, aigcData, proof)) revert NotAnAnswer();
        (bool sound, bytes memory returned) = _requireSound(prompt, aigcData);
        if (!sound) _revertWith(returned);
        Request memory request = abi.decode(prompt, (Request));
        if (request.requester != msg.sender) revert NotTheRequester(request.requester);
        Work storage stored = _works[tokenId];
        if (stored.record != 0) revert AlreadyProven(tokenId);
        Origin origin = stored.origin;
        if (origin != Origin.Generated && origin != Origin.Unstated) revert NotGenerated(origin);
        _requireContent(stored.content, sha256(aigcData));
        bytes32 record = abi.decode(returned, (bytes32));
        (stored.record, stored.origin) = (record, Origin.Generated);
        _prove(tokenId, record, request.listing);
        emit AigcData(tokenId, prompt, aigcData, proof);
        emit MetadataUpdate(tokenId);
    }

    /// @inheritdoc IWorks
    function setRegistrar(address registrar, bool allowed) external override {
        isRegistrar[msg.sender][registrar] = allowed;
        emit RegistrarSet(msg.sender, registrar, allowed);
    }

    /// @inheritdoc IWorks
    function openTill(uint256 work) external override returns (address till) {
        _requireOwned(work);
        till = tillOf(work);
        if (till.code.length == 0) {
            TillClones.create(TILL, work);
            emit TillOpened(work, till);
        }
    }

    /// @inheritdoc IWorks
    function setStanding(uint256 work, Standing standing, uint256 older) external override {
        if (msg.sender != SIMILARITY) revert NotSimilarity(msg.sender);
        _requireOwned(work);
        _works[work].standing = standing;
        emit StandingChanged(work, standing, older);
        emit MetadataUpdate(work);
    }

    /// @notice Whether an answer is recorded, and may be acted on now: exactly if the ledger's `requireSound` holds. So
    /// it turns false once the model is revoked or its verifier stopped. It never reverts.
    /// @param prompt abi.encode(Request).
    /// @param aigcData The output words: abi.encodePacked(outputs).
    /// @param proof Empty: the ledger has checked it.
    function verify(bytes calldata prompt, bytes calldata aigcData, bytes calldata proof)
        external
        view
        override
        returns (bool success)
    {
        if (!_isAnswer(prompt, aigcData, proof)) return false;
        (success,) = _requireSound(prompt, aigcData);
    }

    /// @inheritdoc IWorks
    function workOf(uint256 work) external view override returns (Work memory) {
        _requireOwned(work);
        return _works[work];
    }

    /// @inheritdoc IWorks
    function standingOf(uint256 work) external view override returns (Standing) {
        return _works[work].standing;
    }

    /// @inheritdoc IWorks
    function parentsOf(uint256 work) external view override returns (uint256[] memory parents, uint16[] memory bps) {
        return MARKET.parentsOf(work);
    }

    /// @notice Whom to pay a royalty, and how much: the work's till, even before it is opened.
    /// @param tokenId The work.
    /// @param salePrice The price of the sale.
    function royaltyInfo(uint256 tokenId, uint256 salePrice) external view override returns (address, uint256) {
        _requireOwned(tokenId);
        return (tillOf(tokenId), Math.mulDiv(salePrice, _works[tokenId].resaleBps, 10_000));
    }

    /// @inheritdoc IERC165
    function supportsInterface(bytes4 interfaceId) public view override(ERC721, IERC165) returns (bool) {
        return interfaceId == type(IWorks).interfaceId || interfaceId == type(IERC2981).interfaceId
            || interfaceId == type(IERC7007).interfaceId || interfaceId == ERC4906
            || super.supportsInterface(interfaceId);
    }

    /// @inheritdoc ERC721
    function tokenURI(uint256 tokenId) public view override returns (string memory) {
        _requireOwned(tokenId);
        string memory base = baseUri;
        return bytes(base).length == 0 ? "" : string.concat(base, Strings.toString(tokenId), "/metadata");
    }

    /// @inheritdoc IWorks
    function idOf(address creator, bytes32 content) public view override returns (uint256) {
        return uint256(keccak256(abi.encode(HOME_CHAIN, address(this), creator, content)));
    }

    /// @inheritdoc IWorks
    function tillOf(uint256 work) public view override returns (address) {
        return TillClones.addressOf(TILL, work);
    }

    /// @inheritdoc IWorks
    function digestOf(Registration calldata what, address creator, uint256 deadline)
        public
        view
        override
        returns (bytes32)
    {
        bytes memory head = abi.encode(
            REGISTRATION_TYPE, creator, what.content, what.salt, what.manifest, what.attestation, what.pixels
        );
        bytes memory tail = abi.encode(
            what.kind,
            what.origin,
            what.resaleBps,
            keccak256(abi.encodePacked(what.licences)),
            keccak256(abi.encodePacked(what.offers)),
            keccak256(bytes(what.uri)),
            deadline
        );
        return _hashTypedDataV4(keccak256(bytes.concat(head, tail)));
    }

    /// @dev A transfer settles first, so that the seller keeps what the work has earned.
    function _update(address to, uint256 tokenId, address auth) internal override returns (address) {
        if (_ownerOf(tokenId) != address(0)) {
            uint256[] memory works = new uint256[](1);
            works[0] = tokenId;
            MARKET.settle(works);
        }
        return super._update(to, tokenId, auth);
    }

    /// @dev Steps: (1) the content is named and new, the royalty within its limit; (2) its commitment was made, if a
    /// salt is given; (3) the token exists; (4) the market knows its parents, and has sold the licences that were
    /// missing. A work has no offers before it is registered, so it cannot be its own ancestor.
    function _register(Registration calldata what, address creator, bytes32 record) private returns (uint256 work) {
        // (1)
        if (what.content == 0) revert ContentMissing();
        if (what.resaleBps > MAX_RESALE_BPS) revert ResaleTooHigh(what.resaleBps);
        work = idOf(creator, what.content);
        if (_ownerOf(work) != address(0)) revert AlreadyRegistered(work);
        Work memory made = Work({
            creator: creator,
            since: _since(what, creator), // (2)
            kind: what.kind,
            origin: what.origin,
            standing: Standing.Clear,
            resaleBps: what.resaleBps,
            content: what.content,
            manifest: what.manifest,
            attestation: what.attestation,
            pixels: what.pixels,
            record: record
        });
        _works[work] = made;
        // (3)
        _mint(creator, work);
        // (4)
        uint256[] memory parents = MARKET.derive{value: msg.value}(work, creator, what.licences, what.offers);
        emit WorkRegistered(work, creator, what.content, made, parents, what.uri);
    }

    function _prove(uint256 work, bytes32 record, bytes32 listing) private {
        if (workOfRecord[record] != 0) revert RecordUsed(record);
        workOfRecord[record] = work;
        emit GenerationProven(work, record, listing);
    }

    function _create(bytes memory creation) private returns (address made) {
        assembly ("memory-safe") {
            made := create(0, add(creation, 0x20), mload(creation))
        }
        if (made.code.length == 0) revert SimilarityFailed();
    }

    function _since(Registration calldata what, address creator) private view returns (uint40 time) {
        if (what.salt == 0) return uint40(block.timestamp);
        bytes32 commitment = keccak256(abi.encode(creator, what.content, what.pixels, what.salt));
        time = committedAt[commitment];
        if (time == 0) revert Uncommitted(commitment);
    }

    /// @dev The ledger decodes the request, strictly: what it refuses must not revert `verify`.
    function _requireSound(bytes calldata prompt, bytes calldata words) private view returns (bool, bytes memory) {
        return address(LEDGER)
            .staticcall(
                abi.encodePacked(
                    IInferenceLedger.requireSound.selector, prompt, REQUEST_SIZE + 0x20, words.length / 0x20, words
                )
            );
    }

    function _isAnswer(bytes calldata prompt, bytes calldata words, bytes calldata proof) private pure returns (bool) {
        return prompt.length == REQUEST_SIZE && words.length % 0x20 == 0 && proof.length == 0;
    }

    function _requireContent(bytes32 content, bytes32 digest) private pure {
        if (content != digest) revert ContentMismatch(digest, content);
    }

    function _revertWith(bytes memory reason) private pure {
        if (reason.length == 0) revert NotAnAnswer(); // what the decoder refuses has no reason
        assembly ("memory-safe") {
            revert(add(reason, 0x20), mload(reason))
        }
    }
}
