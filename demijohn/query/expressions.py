"""Aggregation expressions, by an allow-list (MongoDB manual, "Aggregation Operators").

What runs code (`$function`, `$accumulator`), reads metadata (`$meta`) or is not known here is
refused. The arguments' number and types are the database's to judge.
"""

from __future__ import annotations

from difflib import get_close_matches

from demijohn.formats.bson_values import Node
from demijohn.patches.conditions import is_pattern
from demijohn.patches.faults import refusal
from demijohn.patches.operands import Place, forbidden, not_let_through, text
from demijohn.query.patterns import check_pattern

MOST_NODES = 5_000
DEEPEST = 50
"""Levels of expressions in one another."""
_LITERAL = "$literal"
_PATTERNS = frozenset(("$regexMatch", "$regexFind", "$regexFindAll"))
OPERATORS = frozenset(
    """
    $abs $add $ceil $divide $exp $floor $ln $log $log10 $mod $multiply $pow $round $sqrt $subtract
    $trunc $sin $cos $tan $asin $acos $atan $atan2 $asinh $acosh $atanh $sinh $cosh $tanh
    $degreesToRadians $radiansToDegrees $bitAnd $bitOr $bitXor $bitNot $rand
    $arrayElemAt $arrayToObject $concatArrays $filter $first $firstN $in $indexOfArray $isArray
    $last $lastN $map $maxN $minN $objectToArray $range $reduce $reverseArray $size $slice
    $sortArray $zip $and $or $not $cmp $eq $gt $gte $lt $lte $ne $cond $ifNull $switch
    $dateAdd $dateDiff $dateFromParts $dateFromString $dateSubtract $dateToParts $dateToString
    $dateTrunc $dayOfMonth $dayOfWeek $dayOfYear $hour $isoDayOfWeek $isoWeek $isoWeekYear
    $millisecond $minute $month $second $week $year $tsIncrement $tsSecond
    $literal $getField $setField $unsetField $mergeObjects $let
    $allElementsTrue $anyElementTrue $setDifference $setEquals $setIntersection $setIsSubset
    $setUnion $concat $indexOfBytes $indexOfCP $ltrim $regexFind $regexFindAll $regexMatch
    $replaceAll $replaceOne $rtrim $split $strLenBytes $strLenCP $strcasecmp $substr $substrBytes
    $substrCP $toLower $toUpper $trim $binarySize $bsonSize
    $convert $isNumber $toBool $toDate $toDecimal $toDouble $toInt $toLong $toObjectId $toString
    $type
    $sum $avg $min $max $push $addToSet $stdDevPop $stdDevSamp $count $top $topN $bottom $bottomN
    $median $percentile $rank $denseRank $documentNumber $shift $derivative $integral
    $expMovingAvg $covariancePop $covarianceSamp $linearFill $locf
    """.split()  # noqa: SIM905 — a list literal would be a hundred lines
)
_FAMILIES = "those are that make a value of values: of numbers, text, dates, arrays, objects."
VARIABLES = frozenset(("ROOT", "CURRENT", "NOW", "REMOVE", "DESCEND", "PRUNE", "KEEP"))
"""The system's; those of the client's own begin with a small letter."""


def check_expression(node: Node, place: Place) -> None:
    """Raise ForbiddenOperator for what is not let through, InvalidPatch for too much of it."""
    if _count(node, place, 1) > MOST_NODES:
        raise refusal(f"An expression has at most {MOST_NODES:,} parts.", place)


def _count(node: Node, place: Place, level: int) -> int:
    """How many parts an expression has, each of which is let through."""
    if level > DEEPEST:
        raise refusal(f"Expressions are nested deeper than {DEEPEST} levels.", place)
    if isinstance(node, dict):
        return 1 + sum(_member(key, node, place, level) for key in node)
    if isinstance(node, list):
        return 1 + sum(_count(each, (*place, at), level + 1) for at, each in enumerate(node))
    if is_pattern(node):
        check_pattern(node, place)
    _check_variable(text(node), place)
    return 1


def _member(key: str, node: dict[str, Node], place: Place, level: int) -> int:
    here = (*place, key)
    if not key.startswith("$"):
        return _count(node[key], here, level + 1)
    _check_operator(key, here)
    if len(node) > 1:
        raise refusal("An operator of an expression stands alone in its object.", here)
    if key in _PATTERNS:
        _check_literal_pattern(node[key], here)
    return 1 if key == _LITERAL else _count(node[key], here, level + 1)


def _check_operator(name: str, place: Place) -> None:
    """Raise ForbiddenOperator for an operator that is not let through."""
    if name not in OPERATORS:
        near = get_close_matches(name[:100], OPERATORS, n=1, cutoff=0.75)
        raise not_let_through(name, f"did you mean {near[0]}?" if near else _FAMILIES, place)


def _check_literal_pattern(node: Node, place: Place) -> None:
    """Hold to its bound what is no pattern yet, but will be."""
    pattern = node.get("regex") if isinstance(node, dict) else None
    if pattern is not None and text(pattern) is not None:
        check_pattern(pattern, (*place, "regex"))


def _check_variable(value: str | None, place: Place) -> None:
    if value is None or not value.startswith("$$"):
        return
    name = value[2:].partition(".")[0]
    if name[:1].isupper() and name not in VARIABLES:
        raise forbidden(f"$${name}", (f"$${each}" for each in VARIABLES), place)
