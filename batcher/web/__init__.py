"""Pages that show batches in a browser: live while a run goes on, and what came out of it.

It reads ledgers, results and sources, and changes nothing but the marks of a sample. Nothing
below knows this room.

    access      who may ask: token, Host, Origin, methods; the headers of every answer
    catalogue   the batches below the folders that were given, each under an opaque id
    site        what a page needs: the batch of a request, its ledger, templates
    live        watches ledgers for those who follow them, at most once a second
    server      listens, and says under which address
    pages/      one module for each page

    document_filter  the filter of the documents as it stands in an address
    document_view    what the page of a document shows; overlay draws boxes beside texts
    source_file      the file a document was made of, if its bytes are those on record
    previews         its pages as pictures or text, made by a process with limits
    drawing          draws the sample that a person checks

To add a page, write a module in `pages/` with `routes(site)`, name it in `PAGES` of `app`, and
put its template into `templates/` and its script, if any, into `static/`:

    TAB = Tab("documents", "Documents")        # where it has a tab of its own beside a batch

    def routes(site: Site) -> list[web.RouteDef]:
        page = DocumentsPage(site)
        return [web.get("/batch/{batch}/documents", page.show)]

    async def show(self, request):
        batch = await self._site.batch_of(request)  # answers 404 where there is none
        # calls first_documents(connection, 100) in a thread
        rows = await self._site.read(batch, first_documents, 100)
        return await self._site.batch_page(request, "documents.html", batch, TAB, rows=rows)

A template extends `layout.html`, which has the blocks `title`, `main` and `scripts`, or
`batch_layout.html`, which adds the name and the tabs of a batch and has the block `content`. Values
are escaped; no inline script or style works, as the policy in `access` forbids both. A script is
named as `{{ static("documents.js") }}`. Plots are those of `batcher.views.plots`. Words of a file
or a service pass through the filter `clean`, which takes signed links and odd characters out.
Ledgers are read by `site.read`, or else by `ledger.schema.reading_beside`: whatever opens and
closes the file by other means drops the locks of the connections that watch it.
A page that takes a POST declares `web.post`; `access` has checked the token and the Origin by then.
"""
