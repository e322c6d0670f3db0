"""
Subjects that live: animals, people, and those that pretend to.
"""

from imagesession._offline.painter.colour import Colour
from imagesession._offline.painter.drawing import Pen, down
from imagesession._offline.painter.subjects.table import Tone, subject


def _eyes(pen: Pen, ink: Colour | str, *places: tuple[float, float], r: float = 3.0) -> None:
    for x, y in places:
        pen.circle(x, y, r, ink)
        with pen.role("detail"):
            pen.circle(x + r * 0.32, y - r * 0.32, r * 0.34, "#ffffff")


@subject("cat", "cats,kitten,kittens,kitty,katze,gato,gatto,🐱,🐈", colour="#e59a4c",
         accent="#4f8fa8", place="meadow", size=0.95)  # fmt: skip
def _cat(pen: Pen, t: Tone) -> None:
    pen.trace("M72 84 C92 86 96 66 86 54", t.dark, 7)
    pen.path("M32 92 C26 74 32 56 50 54 C68 56 76 74 70 92 Z", t.main)
    pen.path("M42 92 C40 78 44 68 50 66 C57 68 60 78 58 92 Z", t.pale)
    pen.path("M25 34 L27 8 L45 21 Z", t.main)
    pen.path("M75 34 L73 8 L55 21 Z", t.main)
    pen.path("M29 28 L30.5 15 L40 22 Z", "#f2a7a0")
    pen.path("M71 28 L69.5 15 L60 22 Z", "#f2a7a0")
    pen.ellipse(50, 38, 27, 22, t.main)
    with pen.role("detail"):
        for x, w in ((44, 2.6), (50, 3.4), (56, 2.6)):
            pen.line((x, 18), (x, 26), ink=t.dark, width=w)
    pen.ellipse(50, 47, 13, 9, t.pale)
    _eyes(pen, t.ink, (39, 37), (61, 37), r=3.8)
    pen.path("M46.5 43 L53.5 43 L50 46.6 Z", "#d9706c")
    with pen.role("detail"):
        pen.trace("M50 46.5 C50 51 44 52 42.5 49", t.ink, 1.2)
        pen.trace("M50 46.5 C50 51 56 52 57.5 49", t.ink, 1.2)
        for y, d in ((44, -2), (48, 2)):
            pen.line((32, y), (16, y + d), ink=t.ink, width=0.8, alpha=0.6)
            pen.line((68, y), (84, y + d), ink=t.ink, width=0.8, alpha=0.6)
    pen.path("M33 58 C42 64 58 64 67 58 L68 63 C58 69 42 69 32 63 Z", t.accent)
    pen.ellipse(42, 90.5, 6, 3.4, t.light)
    pen.ellipse(58, 90.5, 6, 3.4, t.light)


@subject("dog", "dogs,puppy,puppies,hund,perro,chien,cane,golden retriever,corgi,🐶,🐕",
         colour="#b98352", accent="#d94f45", place="meadow", size=1.0)  # fmt: skip
def _dog(pen: Pen, t: Tone) -> None:
    pen.trace("M70 80 C82 80 88 70 86 60", t.main, 6.5)
    pen.path("M30 92 C26 72 34 56 50 54 C66 56 74 72 70 92 Z", t.main)
    pen.path("M41 92 C39 76 43 66 50 64 C57 66 61 76 59 92 Z", t.pale)
    pen.path("M28 40 C24 22 36 10 50 10 C64 10 76 22 72 40 C70 54 62 60 50 60 C38 60 30 54 28 40 Z",
             t.main)  # fmt: skip
    pen.path("M32 16 C20 14 14 28 17 46 C19 52 27 50 30 42 C31 32 34 24 38 18 Z", t.dark)
    pen.path("M68 16 C80 14 86 28 83 46 C81 52 73 50 70 42 C69 32 66 24 62 18 Z", t.dark)
    pen.path("M50 14 C55 22 54 32 58 38 C62 50 56 58 50 58 C44 58 38 50 42 38 C46 32 45 22 50 14 Z",
             t.pale)  # fmt: skip
    _eyes(pen, t.ink, (39, 34), (61, 34), r=3.4)
    pen.ellipse(50, 43, 5.4, 4, t.ink)
    with pen.role("detail"):
        pen.trace("M50 46 C50 51 45 53 42 51", t.ink, 1.3)
        pen.trace("M50 46 C50 51 55 53 58 51", t.ink, 1.3)
        pen.path("M46.5 52.5 L53.5 52.5 C54.5 59 45.5 59 46.5 52.5 Z", "#e8747c")
    pen.path("M34 58 C42 64 58 64 66 58 L67 63 C58 69 42 69 33 63 Z", t.accent)
    pen.circle(50, 67, 3, "#f3c64f")
    pen.ellipse(41, 90.5, 6.4, 3.4, t.light)
    pen.ellipse(59, 90.5, 6.4, 3.4, t.light)


@subject("bird", "birds,sparrow,robin,parrot,dove,pigeon,eagle,vogel,pájaro,oiseau,uccello,🐦,🕊,🐤",
         colour="#3d8fc4", accent="#f2a33c", place="meadow", size=0.6)  # fmt: skip
def _bird(pen: Pen, t: Tone) -> None:
    for x in (44, 54):
        pen.line((x, 78), (x, 91), ink=t.accent, width=2)
        pen.line((x - 4, 91.5), (x + 5, 91.5), ink=t.accent, width=2)
    pen.path("M26 62 L2 76 L8 62 L0 54 L28 50 Z", t.dark)
    pen.path("M18 54 C24 40 38 40 46 30 C50 18 60 10 70 12 C82 14 86 24 84 36 C84 62 70 82 48 82 "
             "C32 82 20 72 18 54 Z", t.main)  # fmt: skip
    pen.path("M84 36 C84 62 70 82 48 82 C60 76 68 58 68 44 C72 36 78 32 84 36 Z", t.pale)
    pen.path("M22 52 C34 46 52 46 58 54 C56 68 42 74 30 68 C25 64 22 60 22 52 Z", t.dark)
    pen.path("M83 20 L98 27 L84 31 Z", t.accent)
    _eyes(pen, "#20242c", (74, 23), r=3.3)


@subject("owl", "owls,eule,búho,hibou,🦉", colour="#8a6a4f", accent="#f4b942", place="meadow",
         size=0.85)  # fmt: skip
def _owl(pen: Pen, t: Tone) -> None:
    pen.path("M20 10 C30 16 40 18 50 18 C60 18 70 16 80 10 C82 24 84 34 84 50 C84 76 70 92 50 92 "
             "C30 92 16 76 16 50 C16 34 18 24 20 10 Z", t.main)  # fmt: skip
    pen.path("M50 48 C66 50 70 62 68 74 C66 86 58 92 50 92 C42 92 34 86 32 74 C30 62 34 50 50 48 Z",
             t.light)  # fmt: skip
    pen.path("M16 46 C24 52 28 66 26 82 C18 74 15 60 16 46 Z", t.dark)
    pen.path("M84 46 C76 52 72 66 74 82 C82 74 85 60 84 46 Z", t.dark)
    with pen.role("detail"):
        for y, xs in ((60, (40, 50, 60)), (69, (45, 55)), (77, (40, 50, 60))):
            for x in xs:
                pen.trace(f"M{x - 4} {y} Q{x} {y + 6} {x + 4} {y}", t.dark, 1.5)
    for x in (35, 65):
        pen.circle(x, 36, 16, t.pale)
        pen.circle(x, 36, 10.5, t.accent)
        pen.circle(x, 36, 6, "#22252d")
        with pen.role("detail"):
            pen.circle(x + 2, 33.6, 2, "#ffffff")
    pen.path("M45.5 43 L54.5 43 L50 53 Z", "#e58a2f")
    for x in (40, 56):
        pen.rect(x, 89, 5, 5, "#e58a2f", radius=2)


@subject("fox", "foxes,fuchs,zorro,renard,wolf,🦊,🐺", colour="#e2703a", accent="#2f4858",
         place="meadow", size=0.95)  # fmt: skip
def _fox(pen: Pen, t: Tone) -> None:
    pen.path("M66 90 C96 92 100 66 88 50 C90 64 80 72 66 76 Z", t.main)
    pen.path("M92 70 C97 62 94 55 88 50 C89.5 58 87 64 83 68 Z", t.pale)
    pen.path("M34 92 C30 74 36 58 50 58 C64 58 70 74 66 92 Z", t.main)
    pen.path("M43 92 C41 78 44 66 50 66 C56 66 59 78 57 92 Z", t.pale)
    pen.path("M20 8 L42 22 L58 22 L80 8 C83 24 84 34 80 42 L50 68 L20 42 C16 34 17 24 20 8 Z",
             t.main)  # fmt: skip
    pen.path("M24 15 L35 23 L26 31 Z", t.accent)
    pen.path("M76 15 L65 23 L74 31 Z", t.accent)
    pen.path("M18 38 C30 36 44 44 50 68 L20 42 Z", t.pale)
    pen.path("M82 38 C70 36 56 44 50 68 L80 42 Z", t.pale)
    _eyes(pen, "#22252d", (36, 37), (64, 37), r=3)
    pen.ellipse(50, 64, 4.4, 3.6, "#22252d")


@subject("rabbit", "rabbits,bunny,hare,hase,conejo,lapin,🐰,🐇", colour="#d9cfc4", accent="#f0a3ae",
         place="meadow", size=0.9)  # fmt: skip
def _rabbit(pen: Pen, t: Tone) -> None:
    pen.circle(74, 82, 8, t.pale)
    for x, turn in ((40, -8), (60, 8)):
        with pen.placed(x, 30, turn=turn):
            pen.ellipse(0, -12, 7.5, 20, t.main)
            pen.ellipse(0, -11, 3.6, 14, t.accent)
    pen.path("M30 92 C26 76 34 62 50 62 C66 62 74 76 70 92 Z", t.main)
    pen.ellipse(50, 48, 23, 20, t.light)
    pen.ellipse(50, 84, 10, 9, t.pale)
    _eyes(pen, "#2a2c34", (40, 46), (60, 46), r=3.2)
    pen.path("M47 52 L53 52 L50 55.4 Z", t.accent)
    with pen.role("detail"):
        pen.trace("M50 55 C50 59 45 60 44 58", t.ink, 1.1)
        pen.trace("M50 55 C50 59 55 60 56 58", t.ink, 1.1)
        pen.ellipse(34, 53, 4, 2.6, t.accent, alpha=0.6)
        pen.ellipse(66, 53, 4, 2.6, t.accent, alpha=0.6)


@subject("bear", "bears,teddy,panda,bär,oso,ours,🐻,🐼,🧸", colour="#9a6d4b", accent="#e25b4f",
         place="meadow", size=1.05)  # fmt: skip
def _bear(pen: Pen, t: Tone) -> None:
    for x in (29, 71):
        pen.circle(x, 20, 10, t.main)
        pen.circle(x, 20, 5.5, t.light)
    pen.ellipse(50, 76, 28, 20, t.main)
    pen.ellipse(50, 78, 17, 14, t.light)
    pen.ellipse(24, 72, 8, 12, t.dark)
    pen.ellipse(76, 72, 8, 12, t.dark)
    pen.ellipse(50, 36, 29, 25, t.main)
    pen.ellipse(50, 45, 13, 10, t.pale)
    _eyes(pen, t.ink, (38, 33), (62, 33), r=3.4)
    pen.ellipse(50, 41, 4.6, 3.4, t.ink)
    with pen.role("detail"):
        pen.trace("M50 44 L50 47 C50 50 46 51 44 49", t.ink, 1.2)
        pen.trace("M50 47 C50 50 54 51 56 49", t.ink, 1.2)
    pen.path("M50 62 L38 56 L38 68 Z", t.accent)
    pen.path("M50 62 L62 56 L62 68 Z", t.accent)
    pen.circle(50, 62, 3.2, t.accent)


@subject("fish", "fishes,goldfish,shark,tuna,salmon fish,fisch,pez,poisson,pesce,aquarium,🐟,🐠",
         colour="#f08a3e", accent="#ffe3a8", place="under", size=0.85)  # fmt: skip
def _fish(pen: Pen, t: Tone) -> None:
    pen.path("M30 50 C22 40 10 30 4 28 C8 42 8 58 4 72 C10 70 22 60 30 50 Z", t.dark)
    pen.path("M44 34 C50 18 66 16 76 24 L70 38 Z", t.dark)
    pen.path("M48 66 C50 76 58 80 64 78 L62 66 Z", t.dark)
    pen.path("M24 50 C34 30 52 26 68 28 C86 30 96 42 97 50 C96 58 86 70 68 72 C52 74 34 70 24 50 Z",
             t.main)  # fmt: skip
    pen.path("M68 28 C60 40 60 60 68 72 C62 72.6 58 72.6 54 72 C48 60 48 40 55 28.6 Z", t.accent)
    pen.path("M40 33.4 C36 44 36 56 40 66.6 C37 65 34 62.6 31 59.6 C29 54 29 46 31 40.4 Z",
             t.accent)  # fmt: skip
    _eyes(pen, "#20242c", (83, 44), r=3.6)
    with pen.role("detail"):
        pen.trace("M96 54 C92 56 88 56 86 54", t.dark, 1.3)
        pen.trace("M60 54 C64 62 72 62 74 56", t.dark, 1.5)


@subject("whale", "whales,dolphin,orca,wal,ballena,baleine,🐳,🐋,🐬", colour="#3f7fb0",
         accent="#dff1f8", place="under", size=1.1)  # fmt: skip
def _whale(pen: Pen, t: Tone) -> None:
    pen.trace("M34 30 C34 20 26 14 20 18", t.light, 3)
    pen.trace("M34 30 C34 18 42 12 48 16", t.light, 3)
    pen.path("M74 66 C86 64 90 52 88 40 C80 40 76 34 76 26 C84 24 90 28 92 34 C96 28 100 28 100 26 "
             "C100 50 96 84 54 88 C24 90 4 78 4 58 C4 42 20 34 38 34 C60 34 64 58 74 66 Z",
             t.main)  # fmt: skip
    pen.path("M4.6 62 C18 72 44 74 58 68 C62 78 58 86 52 88 C26 90 7 80 4.6 62 Z", t.accent)
    pen.path("M38 66 C42 76 52 80 58 76 C56 70 52 66 48 64 Z", t.dark)
    _eyes(pen, "#1c2230", (20, 56), r=2.8)


@subject("butterfly", "butterflies,schmetterling,mariposa,papillon,moth,🦋", colour="#e8853a",
         accent="#5b6bc0", place="air", size=0.6)  # fmt: skip
def _butterfly(pen: Pen, t: Tone) -> None:
    for flip in (False, True):
        with pen.placed(50, 50, flip=flip):
            pen.path("M2 -4 C12 -38 40 -42 46 -30 C50 -16 36 2 2 4 Z", t.main)
            pen.path("M2 4 C28 4 40 16 34 30 C28 42 10 36 2 10 Z", t.accent)
            pen.circle(31, -22, 6, t.pale)
            pen.circle(23, 22, 4.5, t.pale)
            pen.trace("M1 -18 C4 -30 8 -36 14 -40", t.ink, 1.6)
    pen.ellipse(50, 50, 3.4, 24, t.ink)


@subject(
    "bee",
    "bees,honey,biene,abeja,abeille,🐝",
    colour="#f6c02d",
    accent="#3b3330",
    place="air",
    size=0.5,
)
def _bee(pen: Pen, t: Tone) -> None:
    for x, turn in ((48, -24), (60, 14)):
        with pen.placed(x, 44, turn=turn):
            pen.ellipse(0, -18, 11, 19, "#dff0f7", alpha=0.9)
    pen.ellipse(50, 60, 34, 24, t.main)
    pen.path("M44 36.4 C40 50 40 70 44 83.6 L34 81.4 C30 70 30 50 34 38.6 Z", t.accent)
    pen.path("M64 38 C60 50 60 70 64 82 L55 84 C51 70 51 50 55 36 Z", t.accent)
    pen.polygon((16, 56), (4, 60), (16, 64), ink=t.accent)
    _eyes(pen, t.accent, (75, 55), r=3.6)
    pen.trace("M76 40 C80 30 86 28 90 30", t.accent, 2)


@subject("dragon", "dinosaur,dragons,dino,drache,dragón,monster,🐉,🦖,🦕", colour="#4fa37a",
         accent="#f0b64a", place="meadow", size=1.2)  # fmt: skip
def _dragon(pen: Pen, t: Tone) -> None:
    pen.path("M44 52 C36 30 22 22 4 24 C10 32 10 38 8 46 C16 44 20 48 22 56 C30 52 36 56 44 62 Z",
             t.accent)  # fmt: skip
    for x, y in ((54, 14), (48, 26), (46, 40), (38, 58), (26, 72)):
        pen.polygon((x, y - 5), (x - 9, y + 2), (x + 2, y + 8), ink=t.dark)
    pen.path("M4 90 C18 90 26 80 32 68 C38 54 50 54 50 36 C50 20 60 10 74 12 C88 14 96 22 96 32 "
             "C96 38 90 40 82 40 L72 42 C72 56 76 66 74 80 L76 92 L62 92 L61 82 L48 84 L48 92 "
             "L34 92 L34 84 C26 92 14 94 4 90 Z", t.main)  # fmt: skip
    pen.path("M72 42 C72 56 76 66 74 80 C66 84 56 82 54 72 C52 60 64 56 64 42 Z", t.pale)
    _eyes(pen, t.ink, (74, 23), r=3.4)
    with pen.role("detail"):
        pen.circle(91, 29, 1.3, t.ink)
        pen.trace("M80 34.5 C86 36 92 35 95 33", t.ink, 1.2)


def _figure(pen: Pen, x: float, scale: float, shirt: Colour, skin: str, hair: str,
            legs: Colour) -> None:  # fmt: skip
    with pen.placed(x, 92, scale):
        pen.path("M-10 -36 L10 -36 L10 0 L3 0 L0 -26 L-3 0 L-10 0 Z", legs)
        pen.path("M-10 -62 C-20 -60 -21 -50 -22 -30 L-16.5 -29 L-12 -46 L-11 -32 L11 -32 L12 -46 "
                 "L16.5 -29 L22 -30 C21 -50 20 -60 10 -62 Z", shirt)  # fmt: skip
        pen.circle(-19.2, -28, 3.2, skin)
        pen.circle(19.2, -28, 3.2, skin)
        pen.rect(-4, -68, 8, 9, skin, radius=3)
        pen.ellipse(0, -76, 10.5, 12, skin)
        pen.path("M-11.5 -74 C-13 -90 -4 -92 0 -91.6 C8 -92 13 -86 11.5 -74 C8 -84 -2 -82 -4 -85 "
                 "C-6 -81 -10 -80 -11.5 -74 Z", hair)  # fmt: skip


@subject("person", "man,woman,boy,girl,child,human,portrait,character,astronaut,farmer,chef,doctor,"
         "teacher,student,runner,dancer,frau,mann,kind,mujer,hombre,femme,homme,👩,👨,🧑,👤",
         colour="#3f7cac", accent="#e9a13b", place="meadow", size=1.2)  # fmt: skip
def _person(pen: Pen, t: Tone) -> None:
    _figure(pen, 50, 1, t.main, "#e0a67e", "#4a3026", t.ink)
    with pen.role("detail"):
        pen.circle(46.4, 17, 1.2, "#33261f")
        pen.circle(53.6, 17, 1.2, "#33261f")
        pen.trace("M46 21.6 Q50 24.6 54 21.6", "#9c5a43", 1.1)
    pen.path("M40 31 C46 36 54 36 60 31 L61 36 C54 41 46 41 39 36 Z", t.accent)


@subject("team", "people,group,crowd,family,friends,meeting,community,colleagues,customers,couple,"
         "leute,gente,gens,👥,👪", colour="#3f7cac", accent="#e2674a", place="meadow",
         size=1.25)  # fmt: skip
def _team(pen: Pen, t: Tone) -> None:
    _figure(pen, 22, 0.84, t.accent, "#8d5a3c", "#241a18", t.ink)
    _figure(pen, 79, 0.86, t.light, "#f0c49c", "#b5652c", t.dark)
    _figure(pen, 50, 0.98, t.main, "#d99a70", "#3b2a26", t.ink)


@subject(
    "robot",
    "robots,ai,android,artificial intelligence,bot,chatbot,machine learning,roboter,"
    "droid,automation,🤖",
    colour="#8fb3c9",
    accent="#f2b632",
    place="room",
    size=1.1,
)
def _robot(pen: Pen, t: Tone) -> None:
    pen.line((50, 18), (50, 8), ink=t.dark, width=2.6)
    pen.circle(50, 7, 4, t.accent)
    for x in (35, 55):
        pen.rect(x, 82, 10, 10, t.dark, radius=2)
    for x in (13, 78):
        pen.rect(x, 58, 9, 24, t.dark, radius=4.5)
    pen.rect(25, 54, 50, 31, t.main, radius=7)
    pen.rect(17, 30, 6, 12, t.accent, radius=3)
    pen.rect(77, 30, 6, 12, t.accent, radius=3)
    pen.rect(22, 17, 56, 37, down(17, 37, t.light, t.main), radius=11)
    pen.rect(29, 24, 42, 22, "#26324a", radius=8)
    for x in (40, 60):
        pen.circle(x, 34, 4.6, "#7fe7f2")
        with pen.role("detail"):
            pen.circle(x + 1.4, 32.6, 1.4, "#ffffff")
    with pen.role("detail"):
        pen.trace("M44 41.5 Q50 44.6 56 41.5", "#7fe7f2", 1.6)
        pen.rect(34, 62, 18, 3, t.dark, radius=1.5)
        pen.rect(34, 68, 12, 3, t.dark, radius=1.5)
    pen.circle(63, 68, 6, t.accent)
