"""What Office formats share: packages, charts, diagrams, equations; old formats and LibreOffice."""
