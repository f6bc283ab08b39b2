"""The reading session decides: what comes next, what may be answered, what may be undone.

It keeps nothing that matters in memory. Where a reader stands follows from the answers in the
store, so a reader whose browser, kernel or server died goes on at the first open question.
"""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

from reader_study.record.anchors import receipt_of
from reader_study.record.bundle import Bundle, ShownTrial
from reader_study.record.store import Answer, Event, NotSavedError, Reader, Store, latest, utc_now
from reader_study.room.answer_check import (
    CANNOT_JUDGE,
    checked_marks,
    checked_value,
    display_facts,
    seconds_of,
    view_facts,
)
from reader_study.room.own_results import own_results
from reader_study.room.questions import (
    COMMENT,
    GUESS,
    MARKS,
    Question,
    answers_given,
    asked_screen,
    facts_in_force,
    last_undoable,
    locked_trials,
    overlay_phase,
    questions_of,
)

__all__ = ["CANNOT_JUDGE", "COMMENT", "GUESS", "MARKS", "Question", "ReadingSession"]

LONGEST_COMMENT = 2000


class ReadingSession:
    """One visit of one reader.

    Parameters
    ----------
    bundle, store : the locked study and its database
    reader : who reads
    now : clock, replaced in tests
    on_anchor : told number and hash of the event that a receipt carries
    """

    def __init__(
        self,
        bundle: Bundle,
        store: Store,
        reader: Reader,
        *,
        now: Callable[[], datetime] = utc_now,
        on_anchor: Callable[[int, str], None] = lambda _seq, _digest: None,
    ) -> None:
        self._bundle, self._store, self._reader, self._now = bundle, store, reader, now
        self._on_anchor = on_anchor
        self._facts, consent_since = facts_in_force(bundle, store.events("amended"))
        self._trials = bundle.trials(reader.slot)
        self._answers = store.answers(reader.reader)
        self._events = {e.kind: e for e in store.events(reader=reader.reader)}
        if "consented" in self._events and self._events["consented"].seq < consent_since:
            del self._events["consented"]  # the consent was amended: it is asked again
        self._displays = {e.payload["session"] for e in self._of_kind("display-checked")}
        self._overrides = {e.payload["session"] for e in self._of_kind("washout-overridden")}
        self._finished = {e.payload["session"]: e for e in self._of_kind("session-finished")}
        self._sent = {e.payload["trial"] for e in self._of_kind("overlay-shown")}
        self._feedback: str | None = None
        self._paused = False
        self._open: str | None = None  # id of the question on screen
        self._shown = ""  # kind of the screen
        self._break_at = now() + self._break_length
        self.visit = store.open_session(reader.reader, self.session)

    @property
    def who(self) -> dict[str, Any]:
        """Number of the reader, and after how long without a key or a click it is logged out."""
        idle = self._facts["design"].get("idle_minutes", 30)
        return {"name": self._reader.reader, "idle_minutes": idle}

    def _of_kind(self, kind: str) -> list[Event]:
        return self._store.events(kind, self._reader.reader)

    @property
    def _break_length(self) -> timedelta:
        return timedelta(minutes=self._facts["design"]["break_after_minutes"])

    # ------------------------------------------------------------ where the reader stands

    @property
    def session(self) -> int:
        """Number of the session being read, or just read and not yet handed in."""
        question = self.question()
        if question is None:
            return self._trials[-1].session
        before = question.trial.session - 1
        return before if before >= 0 and before not in self._finished else before + 1

    def questions_of(self, trial: ShownTrial) -> list[Question]:
        """Questions of a trial in the order they are asked."""
        return questions_of(self._bundle, trial, closes_session=self._closes_session(trial))

    def _closes_session(self, trial: ShownTrial) -> bool:
        same = [t for t in self._trials if t.session == trial.session and not t.practice]
        return bool(same) and same[-1] is trial

    def question(self) -> Question | None:
        """First open question in reading order; None when everything is answered."""
        return next(self._open_questions(), None)

    def _open_questions(self) -> Iterator[Question]:
        given = latest(self._answers)
        for trial in self._trials:
            for question in self.questions_of(trial):
                if (trial.token, question.item) not in given:
                    yield question

    def marks_of(self, trial: ShownTrial) -> list[dict[str, Any]]:
        """Marks that the reader has set on a trial."""
        kept = latest(self._answers).get((trial.token, MARKS))
        return kept.value if kept else []

    def shows_overlay(self, trial: ShownTrial) -> bool:
        """The overlay of a trial may be sent: nothing is to be answered without it any more."""
        sequential = self._bundle.overlay_design == "sequential"
        return trial.overlay is not None and (not sequential or trial.token in self._locked)

    def overlay_sent(self, trial: ShownTrial) -> None:
        """Record that the overlay of a trial leaves now; in the chain it follows what is locked."""
        if trial.token not in self._sent:
            sha256 = self._bundle.overlays[str(trial.overlay)]
            self._record("overlay-shown", trial=trial.token, sha256=sha256)
            self._sent.add(trial.token)

    def next_trial(self) -> ShownTrial | None:
        """The trial after the one on screen, for reading its images ahead."""
        question = self.question()
        if question is None:
            return None
        place = self._trials.index(question.trial)
        following = self._trials[place + 1 : place + 2]
        return following[0] if following and following[0].session == self.session else None

    # ------------------------------------------------------------ what is on screen

    def screen(self) -> dict[str, Any]:
        """What to show now: ``kind`` and what that kind needs."""
        screen = self._next_screen()
        self._open, self._shown = screen.get("id"), screen["kind"]
        return screen

    def ahead(self) -> dict[str, Any] | None:
        """The screen after the question on screen, where an answer can only lead to that one.

        The browser shows it at the key, while the answer is on its way to the disk; the screen
        that :meth:`act` returns has the last word.
        """
        still_open = self._open_questions()
        now, then = next(still_open, None), next(still_open, None)
        if now is None or then is None or self._open != now.id:
            return None
        same_trial = then.trial.token == now.trial.token
        if now.is_first and not then.is_first:
            return None  # the overlay is sent when the first answer is on the disk
        if then.trial.session != now.trial.session or (now.trial.feedback and not same_trial):
            return None
        left = (self._break_at - self._now()).total_seconds()
        can_undo = self._facts["design"]["undo"] != "none"
        return {**self._asked(then), "can_undo": can_undo, "after": now.id, "break_in_s": left}

    def _next_screen(self) -> dict[str, Any]:
        if self._store.is_closed():
            return {"kind": "closed"}
        if "consented" not in self._events:
            return {"kind": "consent", "consent": self._facts["consent"]} | self._told()
        if self._feedback is not None:
            return {"kind": "feedback", "feedback": self._feedback}
        question = self.question()
        if question is None:
            return self._ended(self._trials[-1].session, last=True)
        session = question.trial.session
        if waiting := self._between(session):
            return waiting
        if self._facts["design"]["display_check"] and session not in self._displays:
            return {"kind": "display"}
        if self._paused:
            return {"kind": "paused"}
        if self._now() >= self._break_at:
            return {"kind": "break", "minutes": self._facts["design"]["break_after_minutes"]}
        return self._asked(question)

    def _between(self, session: int) -> dict[str, Any] | None:
        """The end of the session before, until it is handed in and the washout is over."""
        if session == 0:
            return None
        shown = self._ended(session - 1, last=False)
        if shown["kind"] == "finish":
            return shown
        opens = self._washout_until(session)
        return {**shown, "opens": opens.isoformat(timespec="minutes")} if opens else None

    def _told(self) -> dict[str, Any]:
        return {"title": self._facts["title"], **self._facts["population"]}

    def _asked(self, question: Question) -> dict[str, Any]:
        return {
            **asked_screen(question, self._trials, self._answers),
            "can_undo": self._undoable() is not None,
            "delay_ms": self._facts["design"].get("answer_delay_ms", 0),
            "overlay": overlay_phase(self._bundle, question),
        }

    # ------------------------------------------------------------ sessions and washout

    def _washout_until(self, session: int) -> datetime | None:
        """When the session may open; None when it may be opened now."""
        if session in self._overrides:
            return None
        # From the last answer: a session may be handed in days after it was read.
        given = [a.at for a in self._answers if a.session == session - 1]
        ended = datetime.fromisoformat(max(given, default=self._finished[session - 1].at))
        opens = ended + timedelta(days=self._facts["design"]["washout_days"])
        return opens if self._now() < opens else None

    def _ended(self, session: int, *, last: bool) -> dict[str, Any]:
        """All is answered: a last chance to go back, then thanks and the receipt."""
        if session not in self._finished:
            allowed = self._facts["design"]["undo"] == "session"
            shown = {"can_undo": self._undoable() is not None, "can_change": allowed}
            return {"kind": "finish", **shown, "answers": self._listed(session)}
        link, own = self._finished[session], None
        if last and self._facts["design"].get("own_results"):
            own = own_results(self._trials, self._answers, self._bundle.items)
        shown = {"kind": "thanks", "last": last, "answers": len(latest(self._answers))}
        return {**shown, "own": own, **receipt_of(link.seq, link.hash)}

    # ------------------------------------------------------------ what the reader does

    def act(self, message: dict[str, Any]) -> dict[str, Any]:
        """Carry out one action of the reader and return the screen that follows.

        Raises
        ------
        NotSavedError
            The answer could not be stored. The screen stays as it was.
        ValueError
            An action or answer that this screen does not offer.
        """
        actions = {
            "consent": self._consent,
            "display": self._display,
            "answer": self._answer,
            "marks": self._marks,
            "comment": self._comment,
            "undo": self._undo,
            "change": self._change,
            "continue": self._continue,
            "pause": self._pause,
            "away": self._away,
        }
        name = message.get("action")
        if not isinstance(name, str) or name not in actions:
            raise ValueError("the reading room does not know this action")
        if isinstance(message.get("comment"), dict):
            self._comment(message["comment"])
        actions[name](message)
        return self.screen()

    def _record(self, kind: str, **payload: Any) -> None:
        self._events[kind] = self._store.append(kind, self._reader.reader, **payload)

    def _consent(self, _message: dict[str, Any]) -> None:
        if "consented" not in self._events:
            self._record("consented")

    def _display(self, message: dict[str, Any]) -> None:
        session = self.session
        self._record("display-checked", session=session, **display_facts(message))
        self._displays.add(session)

    def _current(self, message: dict[str, Any]) -> Question:
        """The question on screen.

        A second press of a key must not answer the next question, and nothing is taken that is
        not asked: before consent, during a pause, in a session whose washout is not over.
        """
        question = self.question()
        if question is None or message.get("id") != question.id:
            raise NotSavedError("that question is answered already")
        if self._open != question.id:
            raise NotSavedError("that question is not open now")
        return question

    def _answer(self, message: dict[str, Any]) -> None:
        question = self._current(message)
        value, seconds = checked_value(question.facts, message.get("value")), seconds_of(message)
        if seconds is not None and seconds < self._shortest_s(question):
            raise NotSavedError("the images were on the screen for too short a time")
        if seen := view_facts(message.get("view")):
            self._record("viewed", trial=question.trial.token, item=question.item, **seen)
        self._keep(question.trial, question.item, value, seconds)
        following = self.question()
        same_trial = following is not None and following.trial.token == question.trial.token
        if question.trial.practice and not same_trial and question.trial.feedback:
            self._feedback = question.trial.feedback

    def _shortest_s(self, question: Question) -> float:
        """An answer to images that nobody can have seen yet does not count."""
        known = {a.trial for a in self._answers}  # their images have been on the screen
        if question.trial.token in known:
            return 0.0
        return float(self._facts["design"].get("answer_delay_ms", 0)) / 1000

    def _keep(
        self, trial: ShownTrial, item: str, value: Any, seconds: float | None = None
    ) -> Answer:
        answer = self._store.save_answer(
            self._reader.reader,
            visit=self.visit,
            session=trial.session,
            trial=trial.token,
            item=item,
            value=value,
            seconds=seconds,
        )
        self._answers.append(answer)
        return answer

    def _marks(self, message: dict[str, Any]) -> None:
        question = self._current(message)
        self._keep(question.trial, MARKS, checked_marks(message.get("marks")))

    def _comment(self, message: dict[str, Any]) -> None:
        question = self._current(message)
        text = message.get("text")
        if not isinstance(text, str) or len(text) > LONGEST_COMMENT:
            raise ValueError(f"a comment is too long; the most characters are {LONGEST_COMMENT}")
        self._keep(question.trial, COMMENT, text.strip())

    def _undoable(self) -> Answer | None:
        """The answer that "undo" would take back under the protocol's rule."""
        if (session := self.session) in self._finished:
            return None
        rule, locked = self._facts["design"]["undo"], self._locked
        return last_undoable(self._answers, rule=rule, session=session, locked=locked)

    @property
    def _locked(self) -> set[str]:
        """Trials whose first answers are locked, for the reader has gone on to the second look."""
        return locked_trials(self._answers, map(self.questions_of, self._trials))

    def _undo(self, _message: dict[str, Any]) -> None:
        answer = self._undoable()
        if answer is None:
            raise NotSavedError("there is nothing that may be taken back")
        trial = next(t for t in self._trials if t.token == answer.trial)
        self._keep(trial, answer.item, None)
        self._feedback = None

    def _listed(self, session: int) -> list[dict[str, Any]]:
        """Answers of a session by the number of their pair."""
        reading = [t for t in self._trials if t.session == session and not t.practice]
        asked = [[q for q in self.questions_of(t) if not q.is_first] for t in reading]
        return answers_given(self._answers, asked)

    def _change(self, message: dict[str, Any]) -> None:
        """Take back an answer that was chosen on the last page; it is asked again."""
        listed = {row["id"] for row in self._listed(self.session)}
        allowed = self._shown == "finish" and self._facts["design"]["undo"] == "session"
        if not allowed or message.get("id") not in listed:
            raise NotSavedError("this answer can no longer be changed")
        token, _, item = str(message["id"]).partition(":")
        self._keep(next(t for t in self._trials if t.token == token), item, None)

    def _continue(self, _message: dict[str, Any]) -> None:
        if self._shown == "finish":
            session, name = self.session, self._reader.reader
            done = self._store.append("session-finished", name, session=session)
            self._finished[session] = done
            self._on_anchor(done.seq, done.hash)
            return
        if self._paused or self._now() >= self._break_at:
            self._record("resumed")
            self._break_at = self._now() + self._break_length
        self._paused, self._feedback = False, None

    def _pause(self, _message: dict[str, Any]) -> None:
        self._record("paused")
        self._paused = True

    def _away(self, message: dict[str, Any]) -> None:
        """The window lost the focus for a while; the panel's clock had stopped."""
        self._record("away", seconds=seconds_of(message))
