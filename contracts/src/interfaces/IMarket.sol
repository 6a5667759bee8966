// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IWorks} from "./IWorks.sol";

// Permissions of a licence. A derivative's own offers cannot permit what its licences do not.
uint8 constant COMMERCIAL = 1;
uint8 constant DERIVATIVES = 2;
uint8 constant TRAINING = 4;
uint8 constant INFERENCE = 8;
// A duty of the holder, to name the creator. A derivative's own offers must ask for it if a licence does.
uint8 constant ATTRIBUTION = 128;

/// @notice What the owner of a work offers to everybody.
/// @param work The work.
/// @param price The price, in wei; 0 is free.
/// @param duration For how many seconds a licence is valid; 0 is for ever.
/// @param shareBps The share in a derivative's income, in hundredths of a percent.
/// @param uses Permissions and duties.
/// @param terms SHA-256 of the licence's text.
/// @param uri Where to find the text; it is kept in the event only.
struct Offer {
    uint256 work;
    uint96 price;
    uint32 duration;
    uint16 shareBps;
    uint8 uses;
    bytes32 terms;
    string uri;
}

/// @notice A licence: an offer that was accepted. It is a record, not a token.
/// @param holder Who may use the work.
/// @param until The last time at which it is valid, in Unix seconds; FOREVER if it does not end.
/// @param shareBps The share in a derivative's income, in hundredths of a percent.
/// @param uses Permissions and duties.
/// @param work The work.
/// @param subject keccak256("dns:" and the holder's domain), or 0; claimed.
/// @param offer The offer.
struct Licence {
    address holder;
    uint40 until;
    uint16 shareBps;
    uint8 uses;
    uint256 work;
    bytes32 subject;
    bytes32 offer;
}

/// @title Licences of works, and what they earn
/// @notice Amounts are in the chain's native currency. What a work receives is pending until it is settled: then its
/// parents receive their shares, and its owner is credited the rest. Shares are of the parent's child's income, not of
/// the whole chain's, so nothing walks over ancestors, and the sum cannot exceed the payment. All payments are pulled.
interface IMarket {
    /// @notice The owner of a work offers licences. Offering the same again changes nothing.
    event Offered(bytes32 indexed offer, uint256 indexed work, Offer terms);
    /// @notice An offer ended. Licences that were bought stay.
    event OfferWithdrawn(bytes32 indexed offer);
    /// @notice An offer was accepted.
    event Licensed(
        uint256 indexed licence,
        uint256 indexed work,
        address indexed holder,
        bytes32 offer,
        bytes32 subject,
        uint40 until
    );
    /// @notice A work received an amount: from a payer; from the contract of the works, if it is the price of a licence
    /// that a registration bought; or from the market itself, if it is a share in a derivative's income.
    event Paid(uint256 indexed work, address indexed from, uint256 amount);
    /// @notice A work's income was shared: so much with its parents, and so much for its owner.
    event Settled(uint256 indexed work, uint256 shared, uint256 kept, address to);
    /// @notice An account withdrew its credit.
    event Withdrawn(address indexed account, address indexed to, uint256 amount);

    /// @notice Only the owner of the work may do this.
    error NotOwner(address caller);
    /// @notice Only the contract of the works may do this.
    error NotWorks(address caller);
    /// @notice The value sent is not the price.
    error WrongPrice(uint256 price, uint256 sent);
    /// @notice There is no such offer, or it was withdrawn.
    error NotOnOffer(bytes32 offer);
    /// @notice There is no such licence, its holder is another, or it has run out.
    error NotLicensed(uint256 licence);
    /// @notice These uses are not permitted, unknown, or none.
    error UseNotGranted(uint8 uses);
    /// @notice A licence of a parent asks for attribution, so this work's offers must.
    error AttributionOwed(uint256 work);
    /// @notice The work was found to be a copy of an older one, so no more licences of it are sold.
    error WorkBlocked(uint256 work);
    /// @notice There is no such work.
    error UnknownWork(uint256 work);
    /// @notice A required address is zero.
    error AddressMissing(string field);
    /// @notice There is nothing to withdraw.
    error NothingToWithdraw();
    /// @notice The receiver rejected the payment.
    error PaymentFailed(address to);

    /// @notice Offer licences of a work, as its owner.
    /// @dev An offer outlives the transfer of the token: a fund that owns a work cannot make one.
    /// @param terms The offer. Its uses must be within `ceilingOf` the work.
    /// @return id A hash of the market and the offer, so nobody can change what a buyer agreed to.
    function offer(Offer calldata terms) external returns (bytes32 id);

    /// @notice End an offer, as the owner of the work. Licences that were bought stay.
    /// @param id The offer.
    function withdrawOffer(bytes32 id) external;

    /// @notice Accept an offer; the value sent is its price.
    /// @param id The offer.
    /// @param holder Who may use the work.
    /// @param subject keccak256("dns:" and the holder's domain), or 0; nobody checks it here.
    /// @return licence The number of the licence, from 1.
    function buy(bytes32 id, address holder, bytes32 subject) external payable returns (uint256 licence);

    /// @notice Open the account of a work that is registered now, as the contract of the works.
    /// @param work The work.
    /// @param creator Holds the licences.
    /// @param licences Licences under which it was derived.
    /// @param offers Offers that are accepted for the creator on the way; the value sent is the sum of their prices.
    /// @return parents The works that it was derived from, in this order.
    function derive(uint256 work, address creator, uint256[] calldata licences, bytes32[] calldata offers)
        external
        payable
        returns (uint256[] memory parents);

    /// @notice Pay a work.
    /// @param work The work.
    function pay(uint256 work) external payable;

    /// @notice Share what works have received since the last time; anybody may. Children go first, so that their
    /// parents' shares are settled by the same call.
    /// @dev Each share is that of all that the work ever received, rounded down, less what was shared before. So the
    /// final credits depend neither on the order nor on the number of settlements; up to eight wei of a work with
    /// parents wait until more comes in.
    /// @param works The works.
    function settle(uint256[] calldata works) external;

    /// @notice Pay out everything that is credited to the caller.
    /// @param to The receiver.
    /// @return amount How much, in wei.
    function withdraw(address payable to) external returns (uint256 amount);

    /// @notice The contract of the works.
    // forge-lint: disable-next-line(mixed-case-function)
    function WORKS() external view returns (IWorks);

    /// @notice The permissions that offers of a work may give: those of all licences that it was derived under, or all
    /// if it has no parents. ATTRIBUTION may always be asked for. 0 if there is no such work.
    /// @param work The work.
    function ceilingOf(uint256 work) external view returns (uint8 uses);

    /// @notice Whether offers of a work must ask for attribution, as a licence does that it was derived under.
    /// @param work The work.
    function owesAttribution(uint256 work) external view returns (bool);

    /// @notice What a work was derived from, and the shares in its income, in hundredths of a percent.
    /// @param work The work.
    function parentsOf(uint256 work) external view returns (uint256[] memory parents, uint16[] memory bps);

    /// @notice The id of an offer: keccak256(abi.encode(HOME_CHAIN, market, every field in order)), where the URI is
    /// represented by its keccak256.
    /// @param terms The offer.
    function idOf(Offer calldata terms) external view returns (bytes32 id);

    /// @notice An offer, without its URI, and whether it can be accepted. All is zero if there is none.
    /// @param id The offer.
    function offerOf(bytes32 id) external view returns (Offer memory terms, bool open);

    /// @notice A licence; all is zero if there is none.
    /// @param licence Its number.
    function licenceOf(uint256 licence) external view returns (Licence memory);

    /// @notice Whether a licence allows someone to use a work now. ATTRIBUTION in `uses` is ignored: read the licence
    /// for its duties.
    /// @param licence The licence.
    /// @param work The work.
    /// @param who The user.
    /// @param uses The permissions, at least one.
    function covers(uint256 licence, uint256 work, address who, uint8 uses) external view returns (bool);

    /// @notice What a work holds: what it received and has not shared, in wei.
    /// @param work The work.
    function pendingOf(uint256 work) external view returns (uint256 amount);

    /// @notice What a work ever received, in wei.
    /// @param work The work.
    function receivedOf(uint256 work) external view returns (uint256 amount);

    /// @notice What an account can withdraw, in wei.
    /// @param account The account.
    function creditOf(address account) external view returns (uint256 amount);
}
