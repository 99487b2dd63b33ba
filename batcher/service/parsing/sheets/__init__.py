"""Workbooks (XLSX, XLSB, XLS, ODS): cells as they are shown, and what lies on the sheets."""
