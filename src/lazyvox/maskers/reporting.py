"""`generate_report`: the page that describes a masker and shows its regions."""

import warnings
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from lazyvox.image import check_niimg
from lazyvox.lazyimage.describe import repetition_time
from lazyvox.maskers.inputs import middle_volume
from lazyvox.maskers.parameters import MaskerWarning
from lazyvox.maskers.report_parts import Findings
from lazyvox.maskers.report_selection import displayed_numbers, shown_number, shown_parameters
from lazyvox.planning.arguments import check_choice
from lazyvox.report import HtmlReport, MaskerContent, masker_page

__all__ = ["Reports"]


class Reports:
    """The report of a masker, from the images kept when it was fitted."""

    reports: bool
    get_params: Any
    mask_img_: Any

    _report_content: Mapping[str, Any] = MappingProxyType({})
    _reporting_data: dict[str, Any] | None = None

    @property
    @abstractmethod
    def _report_description(self) -> str:
        """Description of the page, in a sentence."""

    @abstractmethod
    def _findings(self, data: Mapping[str, Any], numbers: Sequence[int]) -> Findings:
        """Return the findings of the fitted regions; `numbers` have figures of their own."""

    def generate_report(self, engine: str = "matplotlib", title: str | None = None) -> HtmlReport:
        """Make a page that shows the regions of the masker over an image.

        Parameters
        ----------
        engine : {"matplotlib"}, default="matplotlib"
            What draws the figures.
        title : str, optional
            Title of the page; by default the name of the class.

        Returns
        -------
        HtmlReport
            A page that needs no other file. It is shown in notebooks, and saved by
            `save_as_html`.

        Raises
        ------
        ParameterError
            If `engine` is another one.
        MissingDependencyError
            If matplotlib is not installed.

        Warns
        -----
        MaskerWarning
            If the masker is not fitted, or was fitted without an image, or with several, or
            keeps nothing for reports.

        Notes
        -----
        Memory: one volume of the images given to `fit`, and the regions. Before `fit` the page
        holds the parameters only.
        """
        return self._report(engine, title)

    def _report(
        self,
        engine: str,
        title: str | None,
        displayed: Any = None,
        what: str | None = None,
    ) -> HtmlReport:
        check_choice(engine, "engine", ("matplotlib",))
        remarks = self._remarks()
        numbers: list[int] = []
        data = self._reporting_data if self.reports and self._is_fitted() else None
        findings = Findings()
        if data is not None:
            if what is not None:
                numbers, more = displayed_numbers(displayed, self._n_fitted(), what)
                remarks += more
            findings = self._findings(data, numbers)
        title = type(self).__name__ if title is None else title
        told = {
            "title": title,
            "description": self._report_description,
            "warning_messages": remarks,
            "displayed_maps": [0, *(n + 1 for n in numbers)] if what == "sphere" else numbers,
        }
        # In place, where it is fitted: a page is no change of the masker.
        content = self._report_content if isinstance(self._report_content, dict) else {}
        content.update(told)
        self._report_content = content
        for remark in remarks:
            warnings.warn(remark, MaskerWarning, stacklevel=3)
        return masker_page(self._content(title, [*remarks, *findings.warnings], findings, data))

    def _content(
        self,
        title: str,
        remarks: Sequence[str],
        findings: Findings,
        data: Mapping[str, Any] | None,
    ) -> MaskerContent:
        facts = dict(findings.facts)
        t_r = getattr(self, "t_r", None) or (None if data is None else data["t_r"])
        if t_r is not None:
            facts["Repetition time"] = f"{shown_number(t_r)} s"
        return MaskerContent(
            title,
            self._report_description,
            facts,
            remarks,
            findings.panels,
            findings.columns,
            findings.rows,
            shown_parameters(self.get_params(deep=False)),
        )

    def _is_fitted(self) -> bool:
        masker: Any = self
        return bool(masker.__sklearn_is_fitted__())

    def _n_fitted(self) -> int:
        masker: Any = self
        return int(masker.n_elements_)

    def _remarks(self) -> list[str]:
        """Return remarks on the fit of the masker."""
        remarks = []
        if not self.reports:
            remarks.append("Reports are switched off: set reports=True, and fit, to see figures.")
        if not self._is_fitted():
            remarks.append("The masker is not fitted: this page shows its parameters only.")
            return remarks
        if not self._report_content["reports_at_fit_time"]:
            remarks.append(
                "Reports were switched off when the masker was fitted, and nothing was kept: set "
                "reports=True, and fit again, to see figures."
            )
        data = self._reporting_data
        if data is not None and data["images"] is None:
            remarks.append(
                f"No image was given to {type(self).__name__}.fit: regions are shown without one."
            )
        elif data is not None and data["dim"] == 5:
            remarks.append("Several images were given to fit: the first one is shown.")
        return remarks

    def _keep_for_report(self, imgs: Any, **facts: Any) -> None:
        """Keep the content of a report: the regions, and one volume, read only when needed."""
        if not self.reports:
            return
        volume, dimension = (None, None) if imgs is None else middle_volume(imgs)
        self._reporting_data = {
            "mask": self.mask_img_,
            "dim": dimension,
            "images": volume,
            "t_r": None if imgs is None else _repetition_time(imgs),
            **facts,
        }


def _repetition_time(imgs: Any) -> float | None:
    """Return the repetition time of the first series."""
    first = imgs[0] if isinstance(imgs, list | tuple) else imgs
    img = check_niimg(first)
    return repetition_time(img.header) if len(img.shape) == 4 else None
