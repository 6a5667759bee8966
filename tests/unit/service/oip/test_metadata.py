from types import SimpleNamespace

from zkinfer.service.oip.metadata import Statistics, Timings

MODEL = SimpleNamespace(name="tiny", version="2")
TIMES = Timings(input=0.001, queue=0.002, infer=0.003, output=0.004, total=0.01)


def test_statistics_start_at_zero():
    found = Statistics().of(MODEL)
    assert (found.name, found.version, found.inference_count, found.last_inference) == ("tiny", "2", 0, 0)
    assert list(found.batch_stats) == []


def test_successes_are_summed():
    statistics = Statistics(clock=lambda: 1_700_000_000.5)
    statistics.succeeded(MODEL, TIMES)
    statistics.succeeded(MODEL, TIMES)
    found = statistics.of(MODEL)
    assert (found.inference_count, found.execution_count, found.last_inference) == (2, 2, 1_700_000_000_500)
    stats = found.inference_stats
    assert [getattr(stats, name).ns for name in ("compute_input", "queue", "compute_infer", "compute_output")] == [
        2_000_000,
        4_000_000,
        6_000_000,
        8_000_000,
    ]
    assert (stats.success.count, stats.success.ns, stats.fail.count) == (2, 20_000_000, 0)
    assert found.batch_stats[0].batch_size == 1


def test_failures_are_counted_separately():
    statistics = Statistics()
    statistics.failed(MODEL, 0.5)
    found = statistics.of(MODEL)
    assert (found.inference_count, found.inference_stats.fail.count) == (0, 1)
    assert statistics.of(SimpleNamespace(name="tiny", version="1")).inference_stats.fail.count == 0
