"""What comes back from the text of a structured text is valid for DatoCMS's own package."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from random import Random

from tests.fixtures.structured_texts import random_document
from versionsync.export.dast_text import parse, text_of

HERE = Path(__file__).parent
DOCUMENTS = 500
WRONG = {"schema": "dast", "document": {"type": "root", "children": [{"type": "heading", "level": 9, "children": []}]}}


def test_documents_are_valid_after_a_way_through_text(node: str) -> None:
    """Random documents, and what is read from their texts."""
    made = [random_document(Random(seed)) for seed in range(DOCUMENTS)]
    read = [parse(text_of(one)) for one in made]
    lines = "".join(json.dumps(one) + "\n" for one in (*made, *read, WRONG))
    ran = subprocess.run(
        [node, "structured_text.mjs"], cwd=HERE, input=lines, capture_output=True, text=True, check=True, timeout=120
    )
    verdicts = [json.loads(line) for line in ran.stdout.splitlines()]
    assert verdicts[:-1] == [None] * (2 * DOCUMENTS)
    assert verdicts[-1] is not None, "the judge accepts everything"
