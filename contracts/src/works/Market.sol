// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IERC165} from "@openzeppelin/contracts/utils/introspection/IERC165.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {
    ATTRIBUTION,
    COMMERCIAL,
    DERIVATIVES,
    IMarket,
    INFERENCE,
    Licence,
    Offer,
    TRAINING
} from "../interfaces/IMarket.sol";
import {IWorks, Standing} from "../interfaces/IWorks.sol";

/// @title Licences of works, and what they earn
/// @notice There is no administrator, no pause and no upgrade. The only other contract that is trusted is the one of the
/// works, which creates this one. Receivers of payments are called last, after all is booked.
contract Market is IMarket, IERC165 {
    /// @dev Income of a work, and the outline of its lineage, in one word. `permits` is the ceiling's permissions, and
    /// ATTRIBUTION if that is owed; it is never zero for a work. Paying oneself in circles up to 2^120 wei, to make the
    /// shares of one's derivatives overflow, is out of reach.
    struct Account {
        uint120 received;
        uint120 settled;
        uint8 permits;
        uint8 parents;
    }

    /// @dev `shares` holds 16 bits for each parent, those of the first lowest; `shared` is their sum.
    struct Lineage {
        uint128 shares;
        uint16 shared;
        uint256[8] parents;
    }

    /// @dev What the licences of a work that is being registered add up to.
    struct Terms {
        uint8 permits;
        uint128 shares;
        uint16 shared;
    }

    struct StoredOffer {
        uint256 work;
        uint96 price;
        uint32 duration;
        uint16 shareBps;
        uint8 uses;
        bool open;
        bytes32 terms;
    }

    /// @notice The most parents that a work can have.
    uint256 public constant MAX_PARENTS = 8;
    /// @notice The most that all parents of a work can share, in hundredths of a percent.
    uint256 public constant MAX_SHARED = 5000;
    /// @notice The end of licences that do not end.
    uint40 public constant FOREVER = type(uint40).max;
    /// @inheritdoc IMarket
    IWorks public immutable override WORKS;
    /// @notice The chain that this market was deployed on; part of every offer's id.
    uint256 public immutable HOME_CHAIN;

    uint8 private constant PERMISSIONS = COMMERCIAL | DERIVATIVES | TRAINING | INFERENCE;
    uint256 private constant WHOLE = 10_000;

    uint256 private _licensed;
    mapping(uint256 work => Account) private _accounts;
    mapping(uint256 work => Lineage) private _lineages;
    mapping(bytes32 id => StoredOffer) private _offers;
    mapping(uint256 licence => Licence) private _licences;
    mapping(address account => uint256) private _credits;

    /// @notice To be created by the contract of the works.
    constructor() {
        WORKS = IWorks(msg.sender);
        HOME_CHAIN = block.chainid;
    }

    /// @inheritdoc IMarket
    function offer(Offer calldata terms) external override returns (bytes32 id) {
        _requireOwner(terms.work);
        uint8 uses = terms.uses;
        uint8 permits = _accounts[terms.work].permits;
        if (uses & PERMISSIONS == 0 || uses & ~(permits | ATTRIBUTION) != 0) revert UseNotGranted(uses);
        if (permits & ~uses & ATTRIBUTION != 0) revert AttributionOwed(terms.work);
        if (terms.shareBps > MAX_SHARED) revert IWorks.TooMuchShared(terms.shareBps);
        id = idOf(terms);
        _offers[id] = StoredOffer(terms.work, terms.price, terms.duration, terms.shareBps, uses, true, terms.terms);
        emit Offered(id, terms.work, terms);
    }

    /// @inheritdoc IMarket
    function withdrawOffer(bytes32 id) external override {
        StoredOffer storage stored = _offers[id];
        if (!stored.open) revert NotOnOffer(id);
        _requireOwner(stored.work);
        stored.open = false;
        emit OfferWithdrawn(id);
    }

    /// @inheritdoc IMarket
    function buy(bytes32 id, address holder, bytes32 subject) external payable override returns (uint256 licence) {
        uint256 price;
        (licence, price) = _buy(id, holder, subject);
        if (msg.value != price) revert WrongPrice(price, msg.value);
    }

    /// @inheritdoc IMarket
    function derive(uint256 work, address creator, uint256[] calldata licences, bytes32[] calldata offers)
        external
        payable
        override
        returns (uint256[] memory parents)
    {
        if (msg.sender != address(WORKS)) revert NotWorks(msg.sender);
        uint256 count = licences.length + offers.length;
        if (count > MAX_PARENTS) revert IWorks.TooManyParents();
        parents = new uint256[](count);
        Terms memory sum = Terms(PERMISSIONS, 0, 0);
        uint256 spent;
        for (uint256 i = 0; i < licences.length; ++i) {
            _inherit(work, creator, parents, i, licences[i], sum);
        }
        for (uint256 i = licences.length; i < count; ++i) {
            (uint256 licence, uint256 price) = _buy(offers[i - licences.length], creator, 0);
            _inherit(work, creator, parents, i, licence, sum);
            spent += price;
        }
        if (msg.value != spent) revert WrongPrice(spent, msg.value);
        if (sum.shared > MAX_SHARED) revert IWorks.TooMuchShared(sum.shared);
        _accounts[work] = Account(0, 0, sum.permits, uint8(count));
        if (sum.shared != 0) (_lineages[work].shares, _lineages[work].shared) = (sum.shares, sum.shared);
    }

    /// @inheritdoc IMarket
    function pay(uint256 work) external payable override {
        if (_accounts[work].permits == 0) revert UnknownWork(work);
        _receive(work, msg.sender, msg.value);
    }

    /// @inheritdoc IMarket
    function settle(uint256[] calldata works) external override {
        for (uint256 i = 0; i < works.length; ++i) {
            _settle(works[i]);
        }
    }

    /// @inheritdoc IMarket
    function withdraw(address payable to) external override returns (uint256 amount) {
        if (to == address(0)) revert AddressMissing("to");
        amount = _credits[msg.sender];
        if (amount == 0) revert NothingToWithdraw();
        _credits[msg.sender] = 0;
        emit Withdrawn(msg.sender, to, amount);
        (bool success,) = to.call{value: amount}("");
        if (!success) revert PaymentFailed(to);
    }

    /// @inheritdoc IMarket
    function ceilingOf(uint256 work) external view override returns (uint8) {
        uint8 permits = _accounts[work].permits;
        return permits == 0 ? 0 : permits | ATTRIBUTION;
    }

    /// @inheritdoc IMarket
    function owesAttribution(uint256 work) external view override returns (bool) {
        return _accounts[work].permits & ATTRIBUTION != 0;
    }

    /// @inheritdoc IMarket
    function parentsOf(uint256 work) external view override returns (uint256[] memory parents, uint16[] memory bps) {
        uint256 count = _accounts[work].parents;
        Lineage storage lineage = _lineages[work];
        parents = new uint256[](count);
        bps = new uint16[](count);
        for (uint256 i = 0; i < count; ++i) {
            parents[i] = lineage.parents[i];
            bps[i] = uint16(lineage.shares >> (16 * i));
        }
    }

    /// @inheritdoc IMarket
    function offerOf(bytes32 id) external view override returns (Offer memory terms, bool open) {
        StoredOffer storage stored = _offers[id];
        terms = Offer({
            work: stored.work,
            price: stored.price,
            duration: stored.duration,
            shareBps: stored.shareBps,
            uses: stored.uses,
            terms: stored.terms,
            uri: ""
        });
        open = stored.open;
    }

    /// @inheritdoc IMarket
    function licenceOf(uint256 licence) external view override returns (Licence memory) {
        return _licences[licence];
    }

    /// @inheritdoc IMarket
    function covers(uint256 licence, uint256 work, address who, uint8 uses) external view override returns (bool) {
        Licence memory held = _licences[licence];
        uint8 wanted = uses & ~ATTRIBUTION;
        return wanted != 0 && wanted & ~held.uses == 0 && held.work == work && _isValid(held, who);
    }

    /// @inheritdoc IMarket
    function pendingOf(uint256 work) external view override returns (uint256 amount) {
        Account memory account = _accounts[work];
        Lineage storage lineage = _lineages[work];
        amount = account.received - _part(account.settled, WHOLE - lineage.shared);
        for (uint256 i = 0; i < account.parents; ++i) {
            amount -= _part(account.settled, uint16(lineage.shares >> (16 * i)));
        }
    }

    /// @inheritdoc IMarket
    function receivedOf(uint256 work) external view override returns (uint256) {
        return _accounts[work].received;
    }

    /// @inheritdoc IMarket
    function creditOf(address account) external view override returns (uint256) {
        return _credits[account];
    }

    /// @inheritdoc IERC165
    function supportsInterface(bytes4 interfaceId) external pure override returns (bool) {
        return interfaceId == type(IERC165).interfaceId || interfaceId == type(IMarket).interfaceId;
    }

    /// @inheritdoc IMarket
    function idOf(Offer calldata terms) public view override returns (bytes32) {
        return keccak256(
            abi.encode(
                HOME_CHAIN,
                address(this),
                terms.work,
                terms.price,
                terms.duration,
                terms.shareBps,
                terms.uses,
                terms.terms,
                keccak256(bytes(terms.uri))
            )
        );
    }

    /// @dev Books the price; the caller checks that it was sent.
    function _buy(bytes32 id, address holder, bytes32 subject) private returns (uint256 licence, uint256 price) {
        if (holder == address(0)) revert AddressMissing("holder");
        StoredOffer memory stored = _offers[id];
        if (!stored.open) revert NotOnOffer(id);
        if (WORKS.standingOf(stored.work) == Standing.Upheld) revert WorkBlocked(stored.work);
        licence = ++_licensed;
        price = stored.price;
        uint40 until = stored.duration == 0 ? FOREVER : uint40(block.timestamp + stored.duration);
        _licences[licence] = Licence(holder, until, stored.shareBps, stored.uses, stored.work, subject, id);
        emit Licensed(licence, stored.work, holder, id, subject, until);
        if (price != 0) _receive(stored.work, msg.sender, price);
    }

    /// @dev Checks a licence for deriving a work, and notes its work, its share and what it permits.
    function _inherit(
        uint256 work,
        address creator,
        uint256[] memory parents,
        uint256 place,
        uint256 licence,
        Terms memory sum
    ) private {
        Licence memory held = _licences[licence];
        if (!_isValid(held, creator)) revert NotLicensed(licence);
        if (held.uses & DERIVATIVES == 0) revert UseNotGranted(DERIVATIVES);
        for (uint256 i = 0; i < place; ++i) {
            if (parents[i] == held.work) revert IWorks.DuplicateParent(held.work);
        }
        parents[place] = held.work;
        sum.shared += held.shareBps; // at most eight times MAX_SHARED
        sum.shares |= uint128(held.shareBps) << uint128(16 * place);
        sum.permits = (sum.permits & (held.uses | ATTRIBUTION)) | (held.uses & ATTRIBUTION);
        _lineages[work].parents[place] = held.work;
    }

    function _receive(uint256 work, address from, uint256 amount) private {
        Account storage account = _accounts[work];
        account.received = SafeCast.toUint120(account.received + amount);
        emit Paid(work, from, amount);
    }

    /// @dev Shares are differences of parts of all that was received, so each is at least 0, and all parts together
    /// are at most what was received.
    function _settle(uint256 work) private {
        Account memory account = _accounts[work];
        if (account.permits == 0) revert UnknownWork(work);
        if (account.received == account.settled) return;
        _accounts[work].settled = account.received;
        (uint256 shared, uint256 kept) = _divide(work, account);
        address owner = WORKS.ownerOf(work);
        _credits[owner] += kept;
        emit Settled(work, shared, kept, owner);
    }

    /// @dev Pays the parents, and says how much in all, and how much is left for the owner.
    function _divide(uint256 work, Account memory account) private returns (uint256 shared, uint256 kept) {
        if (account.parents == 0) return (0, account.received - account.settled);
        Lineage storage lineage = _lineages[work];
        (uint128 shares, uint16 sum) = (lineage.shares, lineage.shared);
        for (uint256 i = 0; i < account.parents; ++i) {
            uint256 amount = _new(account, uint16(shares >> (16 * i)));
            if (amount == 0) continue;
            shared += amount;
            _receive(lineage.parents[i], address(this), amount);
        }
        kept = _new(account, WHOLE - sum);
    }

    function _requireOwner(uint256 work) private view {
        if (WORKS.ownerOf(work) != msg.sender) revert NotOwner(msg.sender);
    }

    function _isValid(Licence memory held, address who) private view returns (bool) {
        return held.holder == who && block.timestamp <= held.until; // which is 0 if there is no such licence
    }

    /// @dev Never below 0, since no more is settled than was received.
    function _new(Account memory account, uint256 bps) private pure returns (uint256) {
        unchecked {
            return _part(account.received, bps) - _part(account.settled, bps);
        }
    }

    /// @dev The product is below 2^134: an amount has 120 bits, and a share at most 14.
    function _part(uint256 amount, uint256 bps) private pure returns (uint256) {
        unchecked {
            return amount * bps / WHOLE;
        }
    }
}
