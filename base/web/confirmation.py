"""A page of the admin that shows what an act will do, asks for a reason, and then does it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse

from base.web.errors import ExchangeError

REASON_LENGTH = 200


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked. `rows` are shown in a table below `head`; `back` is the page to return to."""

    title: str
    effect: str
    button: str
    back: str
    head: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()


class ReasonForm(forms.Form):
    """Why an operator acts. It is kept with the act."""

    reason = forms.CharField(max_length=REASON_LENGTH, widget=forms.TextInput(attrs={"size": 60}))


def ask_and_act(
    request: HttpRequest,
    question: Question,
    act: Callable[[dict[str, Any]], str],
    form: type[forms.Form] = ReasonForm,
    initial: dict[str, Any] | None = None,
) -> HttpResponse:
    """Ask (GET); act with what the form has (POST), show the outcome, and go back. A refusal is shown."""
    filled = form(request.POST) if request.method == "POST" else form(initial=initial)
    if request.method == "POST" and filled.is_valid():
        try:
            messages.success(request, act(filled.cleaned_data))
            return redirect(question.back)
        except ExchangeError as error:
            filled.add_error(None, error.message)
    shared = {**admin.site.each_context(request), "title": question.title, "question": question, "form": filled}
    return TemplateResponse(request, "admin/confirm.html", shared)
