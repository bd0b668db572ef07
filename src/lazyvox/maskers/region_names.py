"""Names of the columns of a labels masker."""

from typing import Any

from lazyvox.maskers.base import check_is_fitted
from lazyvox.maskers.lookup import BACKGROUND, LookUpTable

__all__ = ["LabelNames"]


class LabelNames:
    """Labels and names of the columns, out of the fitted table and that of the last transform."""

    background_label: float
    _fitted_table: LookUpTable
    _used_table: LookUpTable | None

    @property
    def lut_(self) -> Any:
        """The names of the labels of the image, as a pandas.DataFrame."""
        check_is_fitted(self)
        return self._fitted_table.to_dataframe()

    @property
    def _lut_(self) -> Any:
        """The rows of the last transform, as nilearn calls them."""
        check_is_fitted(self)
        return self._table.to_dataframe()

    @property
    def n_elements_(self) -> int:
        """Number of regions: columns of the last transform, or labels of the image."""
        check_is_fitted(self)
        return len(self._column_labels())

    @property
    def labels_(self) -> list[Any]:
        """The labels, that of the background included if the image has it."""
        check_is_fitted(self)
        return self._table.index

    @property
    def region_names_(self) -> dict[int, str]:
        """The name of each column."""
        check_is_fitted(self)
        table = self._table.of_labels(self._column_labels())
        return dict(enumerate(table.names))

    @property
    def region_ids_(self) -> dict[Any, Any]:
        """The label of each column, and that of the background under "background"."""
        check_is_fitted(self)
        ids: dict[Any, Any] = {}
        if self.background_label in self.labels_:
            ids["background"] = self.background_label
        ids.update(enumerate(self._column_labels()))
        return ids

    @property
    def _region_id_name(self) -> dict[Any, str]:
        """The name of each label, for nilearn."""
        table = self._fitted_table
        pairs = zip(table.index, table.names, strict=True)
        return {label: name for label, name in pairs if name != BACKGROUND}

    def get_feature_names_out(self, input_features: Any = None) -> list[str]:
        """Return the names of the columns.

        Parameters
        ----------
        input_features : object
            Not used; for scikit-learn.

        Returns
        -------
        list of str
            One name per column.
        """
        del input_features
        return list(self.region_names_.values())

    @property
    def _table(self) -> LookUpTable:
        used = self._used_table
        return self._fitted_table if used is None else used

    def _column_labels(self) -> list[Any]:
        return [label for label in self._table.index if label != self.background_label]
