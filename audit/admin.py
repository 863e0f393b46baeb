"""The audits in the admin, read only."""

from django.contrib import admin
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from audit.checks import Check
from audit.models import AuditRun
from base.web.admin import NOTHING, ReadOnlyAdmin


@admin.register(AuditRun)
class AuditRunAdmin(ReadOnlyAdmin):
    list_display = ("id", "mode", "started_at", "seconds", "outcome", "found")
    list_filter = ("mode", "outcome")
    fields = ("mode", "started_at", "seconds", "outcome", "error", "found", "finding_table", "count_table")
    readonly_fields = ("finding_table", "count_table")
    search_help_text = "An id, exactly."

    @admin.display(description="findings")
    def finding_table(self, run: AuditRun) -> SafeString | str:
        rows = (
            (
                finding["check"],
                _SENTENCES.get(finding["check"], ""),
                finding["message"],
                ", ".join(finding["rows"]),
                finding["expected"],
                finding["actual"],
            )
            for finding in run.findings
        )
        if not run.findings:
            return NOTHING
        return format_html(
            "<table><tr><th>check</th><th>finding</th><th>rows</th><th>expected</th><th>found</th></tr>{}</table>",
            format_html_join(
                "", '<tr><td title="{1}">{0}</td><td>{2}</td><td>{3}</td><td>{4}</td><td>{5}</td></tr>', rows
            ),
        )

    @admin.display(description="rows read")
    def count_table(self, run: AuditRun) -> SafeString | str:
        rows = ((check, f"{number:,}", _NOUNS.get(check, "")) for check, number in run.looked.items())
        return format_html("<table>{}</table>", format_html_join("", "<tr><td>{}</td><td>{} {}</td></tr>", rows))


_SENTENCES = {check.value: check.sentence for check in Check}
_NOUNS = {check.value: check.noun for check in Check}
