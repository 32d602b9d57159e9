"""Evidence as papers: claims, OSCAL, the statement of applicability, the report, promises over time. All of it pure."""
