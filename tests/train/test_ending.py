"""What asks a run to end, and when it does."""

from __future__ import annotations

import os
import signal

import pytest

from rlexp import command
from rlexp.errors import Interrupted
from rlexp.train.ending import Ending


def send(number: int) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_before_and_after_the_training_a_signal_raises(number, code):
    ending = Ending()
    with ending.heard(), pytest.raises(Interrupted) as raised, ending.now():
        send(number)
    assert raised.value.exit_code == code and "before the first step" in raised.value.reason


def test_while_it_trains_the_first_signal_is_noted_and_the_second_leaves(capfd):
    ending = Ending()
    with ending.heard(), ending.now():
        with ending.after_step():
            ending.done, ending.asked = 5, 40
            send(signal.SIGTERM)
            assert ending.wanted and ending.short
            with pytest.raises(Interrupted):
                send(signal.SIGINT)
        with pytest.raises(Interrupted) as raised:
            ending.require()
    assert raised.value.exit_code == 143 and raised.value.reason == "stopped by SIGTERM after 5 of 40 steps"
    assert "SIGTERM: this step is finished and saved" in capfd.readouterr().err


def test_while_the_record_is_closed_a_signal_breaks_nothing_off():
    ending = Ending()
    with ending.heard():
        send(signal.SIGTERM)
        send(signal.SIGTERM)
    assert ending.signal == signal.SIGTERM


def test_the_handlers_are_put_back():
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with Ending().heard():
        pass
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_a_keyboard_interrupt_of_a_library_is_one_of_ours():
    with pytest.raises(Interrupted), Ending().now():
        raise KeyboardInterrupt


def test_its_time_is_over_by_the_start_of_the_command(monkeypatch):
    monkeypatch.setattr(command, "began", lambda: 100.0)
    monkeypatch.setattr("time.monotonic", lambda: 159.0)
    ending = Ending(max_minutes=1)
    ending.done, ending.asked = 3, 9
    assert not ending.late and not Ending().late
    assert ending.outcome() == ("stopped", "training ended by itself after 3 of 9 steps")
    monkeypatch.setattr("time.monotonic", lambda: 160.0)
    assert ending.late and ending.outcome() == ("interrupted", "max_minutes=1 were over after 3 of 9 steps")
    ending.done = 9
    assert ending.outcome() is None  # it was trained to its end, and nobody told the last step to be the last
    ending.stopped = True
    assert ending.outcome() == ("interrupted", "max_minutes=1 were over after 9 of 9 steps")


def test_after_an_error_the_weights_of_a_finished_step_are_kept_and_no_others():
    kept = []
    ending = Ending()
    ending.keep(lambda: kept.append("none was trained"))
    ending.done, ending.torn = 3, True
    ending.keep(lambda: kept.append("the optimizer was at work"))
    ending.torn = False
    ending.keep(lambda: kept.append("step 3"))
    ending.keep(lambda: 1 / 0)  # hides nothing
    assert kept == ["step 3"]
