// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {Price} from "../../src/feeds/AproDoor.sol";
import {AggregatorV3Interface} from "../../src/interfaces/AggregatorV3Interface.sol";
import {Asset, IFeeManager} from "../../src/interfaces/IFeeManager.sol";
import {IReceiver} from "../../src/interfaces/IReceiver.sol";
import {IVerifierProxy} from "../../src/interfaces/IVerifierProxy.sol";

/// @notice How published consumers of other oracles call them: written anew, with the calls and checks in their order.

/// @dev A lending market's reader of AggregatorV3Interface, with every check that auditors ask for.
contract LendingReader {
    AggregatorV3Interface public immutable FEED;
    uint256 public immutable MAX_AGE;

    constructor(AggregatorV3Interface feed, uint256 maxAge) {
        FEED = feed;
        MAX_AGE = maxAge;
    }

    /// @dev With 18 decimals.
    function price() external view returns (uint256) {
        (uint80 roundId, int256 answer, uint256 startedAt, uint256 updatedAt, uint80 answeredInRound) =
            FEED.latestRoundData();
        require(answer > 0, "no price");
        require(startedAt != 0 && updatedAt != 0, "round not complete");
        require(answeredInRound >= roundId, "stale price");
        require(block.timestamp - updatedAt <= MAX_AGE, "old price");
        return uint256(answer) * 10 ** (18 - FEED.decimals());
    }

    /// @dev The answer that held at a time: pages back from the newest round, and into the phase before.
    function answerAt(uint256 time) external view returns (int256) {
        (uint80 id, int256 answer,, uint256 updatedAt,) = FEED.latestRoundData();
        while (updatedAt > time) {
            try FEED.getRoundData(id - 1) returns (uint80, int256 earlier, uint256, uint256 when, uint80) {
                (id, answer, updatedAt) = (id - 1, earlier, when);
            } catch {
                // Before the first round of a phase is the last one of the phase before.
                id = ((id >> 64) - 1) << 64 | uint64(id);
            }
        }
        return answer;
    }
}

/// @dev The client of Data Streams' documentation.
contract StreamsClient {
    struct ReportV3 {
        bytes32 feedId;
        uint32 validFromTimestamp;
        uint32 observationsTimestamp;
        uint192 nativeFee;
        uint192 linkFee;
        uint32 expiresAt;
        int192 price;
        int192 bid;
        int192 ask;
    }

    IVerifierProxy public immutable PROXY;
    int192 public lastDecodedPrice;

    error InvalidReportVersion(uint16 version);

    constructor(IVerifierProxy proxy) {
        PROXY = proxy;
    }

    function verifyReport(bytes memory unverifiedReport) external {
        (, bytes memory reportData) = abi.decode(unverifiedReport, (bytes32[3], bytes));
        uint16 version = (uint16(uint8(reportData[0])) << 8) | uint16(uint8(reportData[1]));
        if (version != 3) revert InvalidReportVersion(version);
        bytes memory parameterPayload;
        IFeeManager manager = IFeeManager(PROXY.s_feeManager());
        if (address(manager) != address(0)) {
            address token = manager.i_linkAddress();
            manager.getFeeAndReward(address(this), reportData, token);
            parameterPayload = abi.encode(token);
        }
        bytes memory verified = PROXY.verify(unverifiedReport, parameterPayload);
        lastDecodedPrice = abi.decode(verified, (ReportV3)).price;
    }
}

interface IPriceReader {
    function getPriceNoOlderThan(bytes32 id, uint256 age) external view returns (Price memory);
    function getPriceUnsafe(bytes32 id) external view returns (Price memory);
}

/// @dev APRO's consumer: it always asks the fee manager, and reads prices from the verifier.
contract AproClient {
    struct Report {
        bytes32 feedId;
        uint32 validFromTimestamp;
        uint32 observationsTimestamp;
        uint192 nativeFee;
        uint192 linkFee;
        uint32 expiresAt;
        uint192 price;
        uint192 bid;
        uint192 ask;
    }

    IVerifierProxy public immutable PROXY;
    uint192 public last;

    constructor(IVerifierProxy proxy) {
        PROXY = proxy;
    }

    receive() external payable {}

    function verifyAndReadLatestPrice(bytes calldata payload) external {
        Report memory report = _verified(payload);
        last = IPriceReader(address(PROXY)).getPriceNoOlderThan(report.feedId, 60).value;
    }

    function verifyAndReadThePrice(bytes calldata payload, uint32 time) external {
        Report memory report = _verified(payload);
        require(report.observationsTimestamp == time, "another time");
        last = report.price;
    }

    function readPrice(bytes32 feedId) external view returns (uint192) {
        return IPriceReader(address(PROXY)).getPriceUnsafe(feedId).value;
    }

    function _verified(bytes calldata payload) private returns (Report memory) {
        IFeeManager manager = IFeeManager(PROXY.s_feeManager());
        address native = manager.i_nativeAddress();
        (, bytes memory reportData,,,) = abi.decode(payload, (bytes32[3], bytes, bytes32[], bytes32[], bytes32));
        (Asset memory fee,,) = manager.getFeeAndReward(address(this), reportData, native);
        return abi.decode(PROXY.verify{value: fee.amount}(payload, abi.encode(native)), (Report));
    }
}

/// @dev Delivers as the forwarder of the Chainlink Runtime Environment: once if it succeeds, again if it reverted.
contract Forwarder {
    mapping(bytes32 report => bool) public delivered;

    function deliver(IReceiver to, address workflowOwner, bytes calldata report) external returns (bool success) {
        bytes32 id = keccak256(report);
        require(!delivered[id], "delivered before");
        bytes memory metadata = abi.encodePacked(keccak256("cid"), bytes10("workflow"), workflowOwner, bytes2(0x0001));
        require(to.supportsInterface(type(IReceiver).interfaceId), "no receiver");
        try to.onReport(metadata, report) {
            delivered[id] = true;
            return true;
        } catch {
            return false;
        }
    }
}
