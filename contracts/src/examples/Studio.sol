// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {InferenceConsumer} from "../InferenceConsumer.sol";
import {IInferenceLedger, Request} from "../interfaces/IInferenceLedger.sol";
import {DERIVATIVES, IMarket, Licence, Offer} from "../interfaces/IMarket.sol";
import {IWorks, Kind, Origin, Registration} from "../interfaces/IWorks.sol";

/// @notice A licence to derive: an offer that is accepted now, or a licence that the caller holds.
/// @param offer The offer, or 0.
/// @param licence The licence; ignored if there is an offer.
struct Right {
    bytes32 offer;
    uint256 licence;
}

/// @notice A picture to be made.
/// @param model The right to derive from the model.
/// @param prompt The right to derive from a prompt.
/// @param inputCommitment keccak256 over the packed inputs.
/// @param prover Paid `proverFee` for the proof.
/// @param proverFee In wei.
struct Order {
    Right model;
    Right prompt;
    bytes32 inputCommitment;
    address prover;
    uint96 proverFee;
}

/// @title A studio: pictures are ordered, painted by a model with a proof, and registered with their parents
/// @notice The value of an order pays the model's and the prompt's licences at once, and the fees of the answer, which
/// the ledger holds. The studio itself never holds coin. Without an answer, the ledger credits the fees to whoever
/// ordered; the licences stay his, and serve for the next order.
/// What is proven: the picture is this model's answer to the committed inputs. That these inputs were made from that
/// prompt is the word of whoever ordered.
contract Studio is InferenceConsumer {
    /// @notice How long a prover has, in seconds.
    uint256 public constant TIME = 1 hours;
    /// @notice The royalty of a resale, in hundredths of a percent.
    uint16 public constant RESALE_BPS = 500;

    /// @notice The most that the model and the prompt can share, as at the market, in hundredths of a percent.
    uint256 public constant MAX_SHARED = 5000;

    /// @notice Where pictures are registered.
    IWorks public immutable WORKS;
    /// @notice Where licences are sold.
    IMarket public immutable MARKET;
    /// @notice The work that the model is; its till owns the listing.
    uint256 public immutable MODEL;

    /// @notice What was ordered and is not delivered yet.
    struct Commission {
        address creator;
        uint256 model;
        uint256 prompt;
    }

    mapping(bytes32 id => Commission) private _commissions;

    /// @notice A picture was ordered.
    event Commissioned(
        bytes32 indexed id, address indexed creator, uint256 indexed prompt, uint256[] licences, Request request
    );
    /// @notice A picture was delivered. The work is the creator's first one of that content.
    event Delivered(bytes32 indexed id, address indexed creator, uint256 indexed work);

    /// @notice The listing is not owned by the till of the model's work.
    error NotTheModel(bytes32 listing, uint256 work);
    /// @notice The work is not a prompt.
    error NotAPrompt(uint256 work);
    /// @notice Whoever orders lets the studio register pictures in his name: `WORKS.setRegistrar(studio, true)`.
    error NotRegistrar(address creator);
    /// @notice The licence is not one of this work, or does not let its holder derive until the answer is due.
    error UnfitLicence(uint256 licence);
    /// @notice The value sent is not the sum of the prices and fees.
    error WrongValue(uint256 expected, uint256 actual);

    /// @param works Where pictures are registered.
    /// @param listing The model that paints. Its owner is the till of its work.
    /// @param model The work that the model is.
    constructor(IWorks works, bytes32 listing, uint256 model) InferenceConsumer(works.LEDGER(), listing) {
        (WORKS, MARKET, MODEL) = (works, works.MARKET(), model);
        if (LEDGER.REGISTRY().ownerOf(listing) != works.tillOf(model)) revert NotTheModel(listing, model);
    }

    /// @notice Order a picture. The value is the sum of the prices of the offers, the model's fee, and the prover's.
    /// @dev The caller will be the creator of the picture. Tokens are minted without asking the receiver.
    /// @param order What to make.
    /// @return id The request's id.
    function commission(Order calldata order) external payable returns (bytes32 id) {
        if (!WORKS.isRegistrar(msg.sender, address(this))) revert NotRegistrar(msg.sender);
        uint256 until = block.timestamp + TIME;
        (uint256 model, uint256 work, uint256 spent) = _licence(order.model, until);
        if (work != MODEL) revert UnfitLicence(model);
        (uint256 prompt, uint256 source, uint256 price) = _licence(order.prompt, until);
        if (WORKS.workOf(source).kind != Kind.Prompt) revert NotAPrompt(source);
        _requireShares(model, prompt);
        uint256 fees = uint256(LEDGER.REGISTRY().programOf(LISTING).fee) + order.proverFee;
        if (msg.value != spent + price + fees) revert WrongValue(spent + price + fees, msg.value);
        Request memory request;
        (id, request) = _ask(order.inputCommitment, uint64(until), order.prover, fees, msg.sender);
        _commissions[id] = Commission(msg.sender, model, prompt);
        emit Commissioned(id, msg.sender, source, _pair(model, prompt), request);
    }

    /// @notice Deliver a picture: record the answer, unless it is on record, and register it for whoever ordered it.
    /// Open to everyone.
    /// @dev The same picture may be the creator's already; and the studio may not be his registrar any more,
    /// which must not keep the prover from being paid. Then nothing is registered.
    /// @param request The request that `commission` made.
    /// @param inputs The packed inputs.
    /// @param outputs The outputs: the picture.
    /// @param proof The proof.
    /// @return work The picture's work.
    function deliver(Request calldata request, bytes calldata inputs, int256[] calldata outputs, bytes calldata proof)
        external
        returns (uint256 work)
    {
        bytes32 id = _answer(request, inputs, outputs, proof);
        Commission memory made = _commissions[id];
        delete _commissions[id];
        bytes32 content = sha256(abi.encodePacked(outputs));
        work = WORKS.idOf(made.creator, content);
        emit Delivered(id, made.creator, work);
        if (!_isRegistered(work) && WORKS.isRegistrar(made.creator, address(this))) {
            WORKS.registerProven(_picture(content, _pair(made.model, made.prompt)), made.creator, request, outputs);
        }
    }

    /// @dev Accepts the offer for the caller, or takes the caller's licence.
    function _licence(Right calldata right, uint256 until)
        private
        returns (uint256 licence, uint256 work, uint256 price)
    {
        licence = right.licence;
        if (right.offer != 0) {
            (Offer memory offer,) = MARKET.offerOf(right.offer);
            price = offer.price;
            licence = MARKET.buy{value: price}(right.offer, msg.sender, 0);
        }
        Licence memory held = MARKET.licenceOf(licence);
        if (held.holder != msg.sender || held.uses & DERIVATIVES == 0 || held.until < until) {
            revert UnfitLicence(licence);
        }
        work = held.work;
    }

    /// @dev With more, the works would refuse the picture whenever it came.
    function _requireShares(uint256 model, uint256 prompt) private view {
        uint256 shared = uint256(MARKET.licenceOf(model).shareBps) + MARKET.licenceOf(prompt).shareBps;
        if (shared > MAX_SHARED) revert IWorks.TooMuchShared(shared);
    }

    function _isRegistered(uint256 work) private view returns (bool) {
        try WORKS.ownerOf(work) returns (address) {
            return true;
        } catch {
            return false;
        }
    }

    function _picture(bytes32 content, uint256[] memory licences) private pure returns (Registration memory) {
        return Registration({
            content: content,
            salt: 0,
            manifest: 0,
            attestation: 0,
            pixels: 0,
            kind: Kind.Image,
            origin: Origin.Generated,
            resaleBps: RESALE_BPS,
            licences: licences,
            offers: new bytes32[](0),
            uri: ""
        });
    }

    function _pair(uint256 model, uint256 prompt) private pure returns (uint256[] memory licences) {
        licences = new uint256[](2);
        (licences[0], licences[1]) = (model, prompt);
    }
}
