"""
The words that the sketcher knows.
"""

import re
from collections.abc import Sequence
from typing import TypeVar

from imagesession._offline.sketch.colour import FOREIGN, NAMES
from imagesession._offline.sketch.people import TRAITS, WHO
from imagesession._offline.sketch.plan import Layout, Time
from imagesession._offline.sketch.symbols import TABLE


_HEARD: set[str] = set()


def _any(words: str) -> re.Pattern[str]:
    # Words are separated by commas; a blank in a word also matches a hyphen or nothing.
    _HEARD.update(re.findall(r"[^\W\d_]+", words))
    parts = [re.escape(word.strip()).replace(r"\ ", r"[\s-]?") for word in words.split(",")]
    return re.compile(r"(?<!\w)(?:" + "|".join(parts) + r")(?!\w)")


T = TypeVar("T")


def frozen(words: str) -> frozenset[str]:
    """
    Make a set of words that are separated by blanks.
    """
    return frozenset(words.split())


def first(rules: Sequence[tuple[T, re.Pattern[str]]], text: str) -> T | None:
    """
    Give the name of the first rule that matches a text.
    """
    for name, rule in rules:
        if rule.search(text):
            return name
    return None


LAYOUTS: tuple[tuple[Layout, re.Pattern[str]], ...] = (
    ("logo", _any("logo,logos,logotype,wordmark,emblem,brand mark,monogram,lettermark,brand "
                  "identity")),
    ("icon", _any("icon,icons,favicon,glyph,pictogram,app icon,ui element,ui asset,emoji,sticker,"
                  "badge")),
    ("pattern", _any("pattern,seamless,texture,wallpaper,tileable,tiles,wrapping paper,muster")),
    ("product", _any("product photo,product shot,product,packshot,studio shot,studio photo,mockup,"
                     "mock up,ecommerce photo,advertisement,ad,advert,catalog,catalogue,"
                     "merchandise")),
    ("hero", _any("hero,hero image,banner,header,website header,cover image,landing page,"
                  "billboard")),
)  # fmt: skip

TIMES: tuple[tuple[Time, re.Pattern[str]], ...] = (
    ("sunset", _any("sunset,dusk,evening,golden hour,twilight,sundown,sonnenuntergang,abend,"
                    "atardecer,"
                    "puesta de sol,coucher de soleil,tramonto,🌅,🌇")),
    ("night", _any("night,nighttime,midnight,moonlit,moonlight,starry,nocturnal,nacht,noche,nuit,"
                   "notte")),
    ("dawn", _any("dawn,sunrise,daybreak,early morning,morning,sonnenaufgang,morgen,amanecer,"
                  "aube")),
    ("day", _any("daytime,daylight,noon,midday,by day,sunny day,at day,during the day")),
)  # fmt: skip

WEATHER: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("rain", _any("rain,rainy,raining,drizzle,storm,stormy,thunderstorm,shower,regen,im regen,"
                  "lluvia,"
                  "pluie,pioggia,monsoon,🌧,☔")),
    ("snow", _any("snow,snowy,snowing,winter,wintry,blizzard,snowfall,christmas,schnee,nieve,"
                  "neige,❄,☃")),
    ("fog", _any("fog,foggy,mist,misty,haze,hazy,nebel,niebla,brouillard,brume")),
    ("autumn", _any("autumn,autumnal,fall colors,fall foliage,fall leaves,herbst,otoño,automne,🍂,"
                    "🍁")),
    ("cloud", _any("cloudy,overcast,clouds")),
)  # fmt: skip

_GROUNDS = r"(?:\w+ )?(?:back)?(?:ground|drop|grounds|drops)|mode|theme|ui|version|canvas|surface"
DARK_GROUND = re.compile(
    rf"\b(?:dark|darker)[ -](?:{_GROUNDS})\b|\b(?:black|night) background\b|\bon (?:dark|black)\b"
)
LIGHT_GROUND = re.compile(
    rf"\b(?:light|lighter|bright|brighter|pale)[ -](?:{_GROUNDS})\b|\bon light\b"
)

STYLES: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("flat", _any("flat,flat design,vector")),
    ("outline", _any("outline,outlined,outlines,line art,line drawing,line icon,lineart,linear,"
                     "coloring page,colouring page,contour,stroke style,monoline,wireframe")),
    ("pencil", _any("pencil,sketch,sketchy,hand drawn,charcoal drawing,ink drawing,doodle,crayon")),
    ("3d", _any("3d,3-d,three dimensional,isometric,clay,glossy,realistic,photorealistic,"
                "photograph,"
                "photo,photographic,render,rendered,cinematic,depth")),
    ("watercolor", _any("watercolor,watercolour,watercolors,aquarelle,aquarell,acuarela,painting,"
                        "painterly,oil painting,impressionist,gouache,painted")),
    ("pixel", _any("pixel,pixel art,pixelated,pixelart,8 bit,16 bit,retro game,minecraft")),
    ("minimal", _any("minimalist,minimal,minimalistic,minimalism,simple,simpler,simplified,"
                     "simplify,"
                     "simplistic,clean,cleaner,less detail,fewer details,less detailed,less busy")),
    ("vintage", _any("vintage,retro,antique,old fashioned,nostalgic,art deco,mid century,1950s,"
                     "1960s,"
                     "1970s,70s,60s,50s")),
    ("neon", _any("neon,cyberpunk,synthwave,vaporwave,glowing,glow,futuristic")),
    ("dark", DARK_GROUND),
    ("pastel", _any("pastel,pastels,soft colors,soft colours")),
    ("geometric", _any("geometric,geometrical,geometry,polygonal,low poly,faceted,angular,cubist,"
                       "cubism,triangles,origami,polygons,abstract shapes")),
)  # fmt: skip

SHAPES: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("wide", _any("horizontal,horizontally,banner,header,hero,wide,wider,widescreen,landscape "
                  "format,"
                  "landscape orientation,landscape version,landscape mode,in landscape,panorama,"
                  "panoramic,16:9,3:2,billboard,querformat,panorámico")),
    ("tall", _any("vertical,vertically,portrait format,portrait orientation,portrait version,"
                  "portrait mode,tall,taller,poster,9:16,2:3,phone wallpaper,story format,"
                  "hochformat")),
    ("square", _any("square,squared,1:1,quadratic,square format,square version")),
)  # fmt: skip

TRANSPARENT = re.compile(
    r"transparent|(?:no|without(?: an?| the| any)?) (?:\w+ )?background|"
    r"(?:remove|delete|erase|drop|cut out)(?: the| its| this)? (?:\w+ )?background|cut-?out"
)
FORMATS = re.compile(r"(?:landscape|portrait)[\s-]+(?:format|orientation|version|mode|size)")

STOPWORDS = frozen(
    "a an the of in on at with and or for to by from it is are be this that its my our your his "
    "her "
    "their me i we you as into over under near some any very more most less image picture photo "
    "photograph illustration drawing painting art artwork draw paint create make generate design "
    "show showing style styled please beautiful nice modern simple high quality detailed highly "
    "logo icon banner hero header background pattern poster professional new using use featuring "
    "where which who what while like looking look looks cute small big large tiny huge scene view "
    "ein eine einen der die das und mit im auf un una el la los las de del con en le les une des "
    "du "
    "avec dans et il lo di flat outline vector color colour colors colours palette white black "
    "abstract concept about no not without text word words set up out one two three four"
)

REMOVE = frozen(
    "remove delete erase without no drop omit minus lose hide ohne sin sans entferne quita"
)
REPLACE = re.compile(
    r"\b(?:instead|replace|swap|turn (?:it|this|that|the \w+) into|make (?:it|this|that|the \w+) "
    r"an?|"
    r"change (?:it|this|that|the [\w ]+?) (?:in)?to an?|becomes?|substitute)\b"
)
STORMY = re.compile(
    r"\b(?:sky|skies|clouds) (?:\w+ ){0,2}(?:dramatic|moody|stormy|moodier|darker|threatening)\b|"
    r"\b(?:dramatic|moody|stormy|moodier|darker|threatening) (?:sky|skies|clouds)\b"
)
SAME = re.compile(
    r"\bsame (?:\w+ )?(?:style|look|set|family)\b|\bmatching\b|\bto match\b|\bof the set\b"
)
ON_COLOUR = re.compile(
    r"\b(on|against) ((?:pure |plain |clean |solid )?(?:"
    + "|".join((*NAMES, *FOREIGN))
    + r"))(?=\s*(?:$|[,.;!]))"
)
# A thing named before a colour tells which shade of it is meant.
_THINGS = (
    "leaf|grass|forest|moss|pine|apple|brick|cherry|blood|lemon|chestnut|coffee|steel|jet|"
    "pillar ?box"
)
_COLOURS = "|".join((*NAMES, *FOREIGN))
SHADE = re.compile(
    rf"(?:(?<!the )(?<!make )\b(?:{_THINGS})[ -]|\b(?!(?:{_COLOURS})-)[^\W\d_]+-)"
    rf"({_COLOURS})\b"
)
LETTERS = frozen("lettering letters text words word numbers captions caption writing typography")
BUTTON_END = re.compile(
    r"\b(?:buttons?\s*$|buttons?\s*[,.;:]|(?:with|in|on|for|from|of|that|which|and)\b)|[,.;:!?(]",
    re.IGNORECASE,
)
BUTTON_WORDS = frozen(
    "a an the button buttons call-to-action cta pill rounded round large small big primary "
    "secondary please one label labelled labeled saying says reading reads"
)
JOINTS = frozen("a an the to of for and or with in on at by over under from our your my")
FRESH = re.compile(
    r"^\W*(?:now |then |next |please |ok |okay |and )*"
    r"(?:draw|paint|create|generate|design|sketch|imagine)\b(?! (?:on|it|this|that|over))"
)
# "Saying …" is followed by what is to be lettered, up to the end of the phrase.
SPOKEN = re.compile(
    r"\b(?:with the (?:words?|text|title|name|lettering|caption|inscription)|that (?:says|reads)|"
    r"saying|says|reading|reads|titled|entitled|labell?ed|captioned)[:,]?\s+"
    r"(?!(?:an? |the )?(?:book|newspaper|letter|map|magazine|story)s?\b)"
    r"([^\"“”\n.;!?,]{1,60}?[!?]?)(?=\s*(?:$|[.,;\n]|\s(?:in|on|with|at|under|over|above|below|beside)\s))",
    re.IGNORECASE,
)
# A name begins with capitals, and goes on as long as they do.
NAMED = re.compile(
    r"\b(?:called|named|brand|company|for|text|words?|letters?)\s+"
    r"((?:[A-Z0-9][\w&'-]*)(?:\s+(?:[A-Z0-9&][\w&'-]*|(?:of|and|the)(?=\s[A-Z])))*)"
)
QUOTED = re.compile(
    r"[\"“”„«]\s*([^\"“”„«»\n]{1,60}?)\s*[\"“”»]|(?<!\w)['\u2018]([^'\u2018\u2019\n]{1,40})['\u2019](?!\w)"
)


def _phrases() -> dict[tuple[str, ...], str]:
    table: dict[tuple[str, ...], str] = {}
    for subject in TABLE.values():
        for word in subject.words:
            table.setdefault(tuple(word.lower().replace("-", " ").split()), subject.name)
    for word in WHO:
        table[(word,)] = "person"
    return table


PHRASES = _phrases()
PICTURES = {
    phrase[0]: name for phrase, name in PHRASES.items()
    if len(phrase) == 1 and len(phrase[0]) == 1 and not phrase[0].isalnum()
}  # fmt: skip
LONGEST = max(len(phrase) for phrase in PHRASES)
# Words that need no drawing of their own: they are no reason to say that one was not understood.
_FILLING = frozen(
    "after again all almost alone along also although always among another any around as ask back "
    "before behind being below beside besides between beyond both bottom but can close closeup "
    "corner could day deep detail details different down during each edge enough even every far "
    "fast few first for free friendly front full fun gets gives good got great group half hand hands "
    "happy has have having he her hers high him his how if inside instead into it its itself keep "
    "kind last left less let light like line lines long low made main make makes making many middle "
    "mine more most much near never next nobody none now off often old once only open other others "
    "our out outside over own part per piece place plain please put quite rather ready real right "
    "round same see seen set shape shapes she short should side sides sits sitting size small so "
    "soft some something space stand standing stands still straight such sweet take takes than that "
    "their them then there these they thing things those through time times to together too top "
    "toward towards true turn two under until up upon us use used version very view want wants was "
    "way we well were what when where which while whole wide will with within without would yet you "
    "your fresh delicious cozy cosy quiet calm peaceful lonely bold elegant lovely pretty gorgeous "
    "stunning epic fantastic magical dreamy whimsical ancient colourful colorful bright dark warm "
    "cool cold hot wet dry heavy thick thin tall flying running walking sleeping reading playing "
    "cooking holding wearing riding driving looking watching eating drinking floating swimming "
    "shining falling rising crossing steaming flickering watering smiling sitting lying dancing "
    "three quarter angle front studio lighting photo photography shot style render quality portrait "
    "body face head hair eyes material ceramic wooden wood metal steel glass leather cotton stone "
    "marble paper plastic textile surface plate table shelf floor wall roof branch cliff tea wine "
    "travel website web app mobile page pages site brand company bakery shop store business label "
    "called named saying says titled words text poster card cover print flyer invitation sign photo "
    "image picture keep colours colors colour color tone tones shade hue palette contrast brightness "
    "saturation exposure sharpness noise grain brighter darker lighter warmer cooler bluer redder "
    "greener bigger smaller larger closer sharper softer blur blurry crop margins empty background "
    "foreground ground transparent opaque add remove replace change increase decrease reduce raise "
    "lower brighten darken lighten sharpen flip mirror move zoom enlarge shrink slightly bit little "
    "much touch lot mend finding improve polish shadows highlights blown crushed neutral balance"
)
_KNOWN = (
    {word for phrase in PHRASES for word in phrase} | _HEARD | _FILLING | STOPWORDS | REMOVE | LETTERS
    | set(NAMES) | set(FOREIGN) | set(WHO) | set(TRAITS) | JOINTS | BUTTON_WORDS
)  # fmt: skip


def unknown(tokens: Sequence[str]) -> tuple[str, ...]:
    """
    Give the words of a prompt that mean nothing to the sketcher.
    """
    strange = (
        word for word in tokens
        if word.isalpha() and len(word) > 2 and not _KNOWN & {word, word.removesuffix("s")}  # noqa: PLR2004
        and not word.endswith(("ly", "ing", "ish"))
    )  # fmt: skip
    return tuple(dict.fromkeys(strange))[:4]
