"""The schema of the news site: five models and four block models, with every type of field."""

from __future__ import annotations

from dataclasses import dataclass

from versionsync.simulator.world.content import Json
from versionsync.simulator.world.models import Model, Workflow
from versionsync.simulator.world.world import World

__all__ = ["LOCALES", "STAGES", "NewsSchema", "build_schema"]

LOCALES = ("en", "it")
STAGES = ("writing", "reviewing", "ready")
"""The workflow of an article."""


@dataclass(frozen=True, slots=True)
class NewsSchema:
    """The models, block models last."""

    article: Model
    """Drafts, a workflow, and a field of almost every type."""
    author: Model
    category: Model
    """Without draft mode: each save is live at once."""
    page: Model
    """A tree."""
    homepage: Model
    """A singleton."""
    quote: Model
    picture: Model
    columns: Model
    """A block with blocks."""
    mention: Model
    """An inline block."""
    workflow: Workflow


def build_schema(world: World) -> NewsSchema:
    """Create all models, as the project's owner."""
    owner = world.account
    for locale in LOCALES:
        world.add_locale(owner, locale)
    workflow = world.create_workflow(owner, "editorial", STAGES, name="Editorial")
    model, field = world.create_model, world.create_field
    quote = model(owner, "quote", is_block=True)
    field(owner, quote, "words", "text")
    field(owner, quote, "said_by")
    picture = model(owner, "picture", is_block=True)
    field(owner, picture, "image", "file")
    field(owner, picture, "caption")
    columns = model(owner, "columns", is_block=True)
    field(owner, columns, "left", "rich_text", validators=_blocks("rich_text", quote, picture))
    field(owner, columns, "right", "single_block", validators=_blocks("single_block", quote, picture))
    mention = model(owner, "mention", is_block=True)
    field(owner, mention, "handle")
    category = model(owner, "category", draft_mode=False, sortable=True)
    field(owner, category, "name", localized=True, validators={"required": {}})
    field(owner, category, "color", "color")
    author = model(owner, "author")
    field(owner, author, "name", validators={"required": {}})
    field(owner, author, "biography", "text", localized=True)
    field(owner, author, "portrait", "file")
    field(owner, author, "joined_on", "date")
    page = model(owner, "page", tree=True)
    field(owner, page, "title", localized=True, validators={"required": {}})
    field(owner, page, "slug", "slug")
    field(owner, page, "sections", "rich_text", validators=_blocks("rich_text", quote, picture, columns))
    homepage = model(owner, "homepage", is_singleton=True)
    article = model(owner, "article", workflow_id=workflow.id, hint="Everything that is dated")
    schema = NewsSchema(article, author, category, page, homepage, quote, picture, columns, mention, workflow)
    _add_article_fields(world, schema)
    field(owner, homepage, "welcome", "text", localized=True)
    field(owner, homepage, "lead_story", "link", validators={"item_item_type": _targets(article)})
    field(owner, homepage, "top_stories", "links", validators={"items_item_type": _targets(article)})
    return schema


def _add_article_fields(world: World, schema: NewsSchema) -> None:
    owner, field, article = world.account, world.create_field, schema.article
    field(owner, article, "title", localized=True, validators={"required": {}})
    field(owner, article, "slug", "slug", localized=True)
    field(owner, article, "summary", "text", localized=True)
    body_rules = {
        "structured_text_blocks": {"item_types": [schema.quote.id, schema.picture.id]},
        "structured_text_inline_blocks": {"item_types": [schema.mention.id]},
        "structured_text_links": _targets(article, schema.author),
    }
    field(owner, article, "body", "structured_text", localized=True, validators=body_rules)
    modular = _blocks("rich_text", schema.quote, schema.picture, schema.columns)
    field(owner, article, "sections", "rich_text", validators=modular)
    field(owner, article, "pull_quote", "single_block", validators=_blocks("single_block", schema.quote))
    field(owner, article, "seo", "seo", localized=True)
    field(owner, article, "author", "link", validators={"item_item_type": _targets(schema.author, on_delete="fail")})
    field(owner, article, "categories", "links", validators={"items_item_type": _targets(schema.category)})
    field(owner, article, "related", "links", validators={"items_item_type": _targets(article)})
    for api_key, field_type in (
        ("cover", "file"),
        ("pictures", "gallery"),
        ("video", "video"),
        ("dateline", "date"),
        ("happens_at", "date_time"),
        ("accent", "color"),
        ("place", "lat_lon"),
        ("data", "json"),
        ("reads", "integer"),
        ("rating", "float"),
        ("is_premium", "boolean"),
    ):
        field(owner, article, api_key, field_type)


def _blocks(field_type: str, *models: Model) -> dict[str, Json]:
    return {f"{field_type}_blocks": {"item_types": [model.id for model in models]}}


def _targets(*models: Model, on_delete: str = "delete_references") -> dict[str, Json]:
    return {
        "item_types": [model.id for model in models],
        "on_publish_with_unpublished_references_strategy": "fail",
        "on_reference_unpublish_strategy": "delete_references",
        "on_reference_delete_strategy": on_delete,
    }
