# SPDX-License-Identifier: Apache-2.0
"""What the campus knows: people, courses, who is enrolled in what and as what, and where the tool is placed. Kept in memory only."""
import hashlib
import threading
from dataclasses import dataclass, field

MEMBERSHIP = "http://purl.imsglobal.org/vocab/lis/v2/membership"

# The campus's own words for roles: what a person reads, the full URIs (principal role last), the short names.
ROLES = {
    "instructor": ("Instructor", [MEMBERSHIP + "#Instructor"], ["Instructor"]),
    "teaching-assistant": (
        "Teaching assistant",
        [MEMBERSHIP + "/Instructor#TeachingAssistant", MEMBERSHIP + "#Instructor"],
        ["TeachingAssistant", "Instructor"],
    ),
    "content-developer": ("Content developer", [MEMBERSHIP + "#ContentDeveloper"], ["ContentDeveloper"]),
    "learner": ("Student", [MEMBERSHIP + "#Learner"], ["Learner"]),
    "observer": ("Observer", [MEMBERSHIP + "/Manager#Observer", MEMBERSHIP + "#Manager"], ["Manager"]),
    "mentor": ("Mentor", [MEMBERSHIP + "#Mentor"], ["Mentor"]),
}

COURSE_OFFERING = "http://purl.imsglobal.org/vocab/lis/v2/course#CourseOffering"


def opaque_id(kind, text):
    """An id that tells nothing, but is the same in each run, so that tests and screenshots are comparable."""
    return kind + hashlib.sha256(text.encode()).hexdigest()[:12]


@dataclass
class Person:
    id: str
    login: str
    given: str
    family: str
    email: str
    sourcedid: str
    locale: str = "en"
    full: str = ""

    @property
    def name(self):
        return self.full or f"{self.given} {self.family}".strip()


@dataclass
class Enrolment:
    role: str
    status: str = "Active"


@dataclass
class Link:
    """A placement of the tool in a course."""

    id: str
    title: str
    path: str  # below the tool's base URL
    custom: dict = field(default_factory=dict)


@dataclass
class Course:
    id: str
    label: str
    title: str
    links: dict
    enrolments: dict = field(default_factory=dict)  # person id -> Enrolment


class State:
    """The campus's records. `lock` is held by whoever reads more than one of them or changes any."""

    def __init__(self):
        self.lock = threading.RLock()
        self.people = {}
        self.courses = {}

    # --- making -----------------------------------------------------------------------------------------------------

    def add_person(self, login, given, family, locale="en", full=""):
        person = Person(
            id=opaque_id("u-", login),
            login=login,
            given=given,
            family=family,
            email=f"{login}@students.example.edu",
            sourcedid=f"SIS-{login}",
            locale=locale,
            full=full,
        )
        with self.lock:
            self.people[person.id] = person
        return person

    def add_course(self, label, title):
        key = opaque_id("", label)
        links = {}
        for name, link_title, path in (
            ("proxied", "Course app (proxied)", "/app/"),
            ("cgi", "Course app (CGI)", "/cgi/class.cgi"),
        ):
            links[name] = Link(id=f"rl-{key}-{name}", title=link_title, path=path, custom={"placement": name})
        course = Course(id="c-" + key, label=label, title=title, links=links)
        with self.lock:
            self.courses[course.id] = course
        return course

    # --- changing ---------------------------------------------------------------------------------------------------

    def enrol(self, course, person, role="learner", status="Active"):
        with self.lock:
            self.course(course).enrolments[self.person(person).id] = Enrolment(role, status)

    def drop(self, course, person):
        with self.lock:
            self.course(course).enrolments.pop(self.person(person).id, None)

    def set_role(self, course, person, role):
        with self.lock:
            self.course(course).enrolments[self.person(person).id].role = role

    def set_status(self, course, person, status):
        with self.lock:
            self.course(course).enrolments[self.person(person).id].status = status

    # --- finding: by id, by the short handle (login, label), or the object itself --------------------------------------

    def person(self, which):
        if isinstance(which, Person):
            return which
        if which in self.people:
            return self.people[which]
        for person in self.people.values():
            if person.login == which:
                return person
        raise KeyError(f"no such person: {which}")

    def course(self, which):
        if isinstance(which, Course):
            return which
        if which in self.courses:
            return self.courses[which]
        for course in self.courses.values():
            if course.label == which:
                return course
        raise KeyError(f"no such course: {which}")

    def roster(self, which):
        """(person, enrolment) of everybody enrolled, ordered by family name: the order that offsets of a roster's pages count in."""
        with self.lock:
            course = self.course(which)
            people = [(self.people[key], enrolment) for key, enrolment in course.enrolments.items()]
        return sorted(people, key=lambda item: (item[0].family, item[0].given, item[0].id))


# --- seeds ----------------------------------------------------------------------------------------------------------------

# Login, given name, family name, locale. Names as they come in real rosters: accents, other scripts, quotes, markup, an emoji.
PEOPLE = [
    ("ada", "Ada", "Lovelace", "en"),
    ("zoe", "Zoë", "Müller", "de"),
    ("xiaolong", "小龍", "李", "zh"),
    ("orjan", "Ørjan", "Łukasz", "nb"),
    ("bobby", "<b>Bobby</b>", "\"Tables\" & Söhne", "en"),
    ("sam", "Sam 🦉", "Night", "en"),
    ("fatima", "فاطمة", "الفهرية", "ar"),
    ("siobhan", "Siobhán", "O'Brien", "ga"),
    ("nikola", "Никола", "Тесла", "sr"),
    ("jose", "José", "Núñez Peña", "es"),
    ("mei", "めい", "佐藤", "ja"),
    ("grace", "Grace", "Hopper", "en"),
    ("emmy", "Emmy", "Noether", "de"),
    ("alan", "Alan", "Turing", "en"),
    ("ines", "Inês", "de Sá", "pt"),
    ("plato", "Πλάτων", "", "el"),
    ("rosa", "Rosa", "Parks", "en"),
    ("thu", "Thu", "Nguyễn", "vi"),
    ("katherine", "Katherine", "Johnson", "en"),
    ("lise", "Lise", "Meitner", "de"),
]


def _add_people(state):
    for login, given, family, locale in PEOPLE:
        # Chinese and Japanese names are written family name first.
        state.add_person(login, given, family, locale, full=f"{family}{given}" if locale in ("zh", "ja") else "")


def seed_test(state):
    """One course of fourteen people (large enough for the drop guard), one of three, and six people without a course."""
    _add_people(state)
    state.add_course("BIO1", "Biology I: Cells & Tissues")
    state.add_course("HIS2", "History II")
    state.enrol("BIO1", "ada", "instructor")
    state.enrol("BIO1", "grace", "teaching-assistant")
    for login in ("zoe", "xiaolong", "orjan", "bobby", "sam", "fatima", "siobhan", "nikola", "jose", "mei", "emmy", "alan"):
        state.enrol("BIO1", login, "learner")
    state.enrol("HIS2", "rosa", "instructor")
    state.enrol("HIS2", "zoe", "learner")
    state.enrol("HIS2", "ada", "learner")


def seed_demo(state):
    """Three courses with overlapping people, so that one person is a student here and a teacher there."""
    seed_test(state)
    state.add_course("MAT3", "Mathematik III – Größen und Maße")
    state.enrol("MAT3", "emmy", "instructor")
    state.enrol("MAT3", "lise", "teaching-assistant")
    state.enrol("MAT3", "plato", "observer")
    for login in ("ines", "thu", "katherine", "alan", "zoe", "xiaolong", "rosa"):
        state.enrol("MAT3", login, "learner")
    for login in ("plato", "thu", "ines"):
        state.enrol("HIS2", login, "learner")


SEEDS = {"test": seed_test, "demo": seed_demo}
