import json
import threading

import httpx2
import pytest

from zkinfer.oracle.alerts import MAX_WAITING, AlertKind, Alerts

URL = "https://hooks.example/secret"


class Webhook:
    """Answers with the given statuses, then with 200."""

    def __init__(self, *statuses):
        self.statuses, self.documents = [*statuses], []
        self.got = threading.Event()

    def __call__(self, request):
        status = self.statuses.pop(0) if self.statuses else 200
        if status == 0:
            raise httpx2.ConnectError("unreachable")
        if status == 200:
            self.documents.append(json.loads(request.content))
            self.got.set()
        return httpx2.Response(status)


def alerts_to(webhook):
    return Alerts(URL, transport=httpx2.MockTransport(webhook), sleep=lambda seconds: False)


def delivered(alerts, webhook):
    thread = threading.Thread(target=alerts.run)
    thread.start()
    assert webhook.got.wait(10)
    alerts.stop()
    thread.join(10)
    return webhook.documents


def test_alert_says_what_and_about_what():
    webhook = Webhook()
    alerts = alerts_to(webhook)
    alerts.begin(AlertKind.LATE, "vol on base", "It is older than 60 s.")
    (found,) = delivered(alerts, webhook)
    assert found.pop("time") > 0
    assert found == {"kind": "late", "about": "vol on base", "text": "It is older than 60 s.", "cleared": False}


@pytest.mark.parametrize("status", [0, 500, 302])
def test_alert_is_sent_again_until_it_arrives(status):
    webhook = Webhook(status, status)
    alerts = alerts_to(webhook)
    alerts.begin(AlertKind.LATE, "vol", "late")
    assert len(delivered(alerts, webhook)) == 1
    assert alerts.dropped == 0


def test_what_holds_is_told_once_and_its_end_once():
    alerts = Alerts(URL)
    for _ in range(3):
        alerts.begin(AlertKind.LATE, "vol", "late")
    alerts.begin(AlertKind.LATE, "other", "late")
    assert len(alerts._waiting) == 2
    for _ in range(3):
        alerts.end(AlertKind.LATE, "vol")
    assert [alert.cleared for alert in alerts._waiting] == [False, False, True]
    assert alerts.active == {(AlertKind.LATE, "other")}


def test_full_queue_drops_the_oldest_and_never_waits():
    alerts = Alerts(URL)
    for number in range(MAX_WAITING + 5):
        alerts.begin(AlertKind.LATE, str(number), "late")
    assert alerts.dropped == 5
    assert alerts._waiting[0].about == "5"


def test_alert_without_a_webhook_is_only_logged():
    alerts = Alerts()
    alerts.begin(AlertKind.LATE, "vol", "late")
    assert (len(alerts._waiting), alerts.active) == (0, {(AlertKind.LATE, "vol")})


def test_webhook_that_stays_down_costs_the_alert_alone(capsys):
    webhook = Webhook(*[500] * 6)
    alerts = alerts_to(webhook)
    alerts.begin(AlertKind.LATE, "first", "late")
    alerts.begin(AlertKind.LATE, "second", "late")
    assert [one["about"] for one in delivered(alerts, webhook)] == ["second"]
    assert alerts.dropped == 1
    assert "secret" not in "".join(capsys.readouterr())
