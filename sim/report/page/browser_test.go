// SPDX-License-Identifier: Apache-2.0

package page

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// browser finds a Chromium, or skips the test, unless the environment insists.
func browser(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("CROFT_REQUIRE_BROWSER") == "1" {
		t.Fatal("CROFT_REQUIRE_BROWSER=1, but this test lacks chromium: apt-get install --no-install-recommends chromium")
	}
	t.Skip("needs chromium: apt-get install --no-install-recommends chromium")
	return ""
}

// faults finds what a reader would stumble over: text that leaves its picture or
// lies over another, and a page that is wider than the window.
const faults = `(() => {
	const bad = [];
	const inside = (a, b) => a.left >= b.left - 1 && a.right <= b.right + 1 && a.top >= b.top - 1 && a.bottom <= b.bottom + 1;
	for (const svg of document.querySelectorAll("figure > svg")) {
		const name = svg.getAttribute("aria-label"), frame = svg.getBoundingClientRect();
		if (frame.width < 100 || frame.height < 50) bad.push(name + ": is not seen");
		const texts = [...svg.querySelectorAll("text")].map(t => [t.textContent, t.getBoundingClientRect()]);
		texts.forEach(([text, box], i) => {
			if (!inside(box, frame)) bad.push(name + ": " + text + " leaves the picture");
			for (const [other, o] of texts.slice(i + 1))
				if (box.left < o.right && o.left < box.right && box.top + 2 < o.bottom && o.top + 2 < box.bottom) bad.push(name + ": " + text + " lies over " + other);
		});
		if (![...svg.querySelectorAll("path.line")].some(p => p.getTotalLength() > 1) && !svg.querySelector("path.dots")) bad.push(name + ": has no line");
		for (const p of svg.querySelectorAll("path.line")) {
			const b = p.getBoundingClientRect();
			if (b.width + b.height > 0 && !inside(b, frame)) bad.push(name + ": a line leaves the picture");
			if (getComputedStyle(p).stroke === "none") bad.push(name + ": a line has no colour");
		}
	}
	if (document.documentElement.scrollWidth > document.documentElement.clientWidth) bad.push("the page is wider than its window");
	return bad;
})()`

// command is a command of the browser's protocol as an action.
func command[P, R any](c cdp.Command[P, R], params P) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, c, params)
		return err
	})
}

// The page is opened in a browser, light and dark, wide and narrow: nothing is
// complained of, nothing is asked of anybody, everything is where it should be.
func TestInBrowser(t *testing.T) {
	path := browser(t)
	file := filepath.Join(t.TempDir(), "report.html")
	if err := os.WriteFile(file, []byte(written(t, played(t, 1), played(t, 2))), 0o644); err != nil {
		t.Fatal(err)
	}
	opt := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()),
		chromedp.Env("TMPDIR="+t.TempDir()), // where it leaves its locks
		chromedp.Flag("disable-component-update", true))
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	ctx, cancel = chromedp.NewExecAllocator(ctx, opt...)
	defer cancel()
	ctx, cancel = chromedp.NewContext(ctx)
	defer cancel()

	var mu sync.Mutex
	var said []string
	err := chromedp.Listen(ctx, func(e any) {
		mu.Lock()
		defer mu.Unlock()
		switch e := e.(type) {
		case *runtime.EventConsoleAPICalled, *runtime.EventExceptionThrown:
			b, _ := json.Marshal(e)
			said = append(said, string(b))
		case *cdplog.EventEntryAdded:
			said = append(said, e.Entry.Text)
		case *network.EventRequestWillBeSent:
			if url := e.Request.URL; url != "file://"+file {
				said = append(said, "it asks for "+url)
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	err = chromedp.Do(ctx, command(network.Enable, network.EnableParams{}), command(runtime.Enable, cdp.Empty{}), command(cdplog.Enable, cdp.Empty{}),
		chromedp.Navigate("file://"+file), chromedp.WaitVisible(chromedp.CSS("figure > svg")))
	if err != nil {
		t.Fatal(err)
	}
	papers := map[string]bool{}
	for _, scheme := range []string{"light", "dark"} {
		for _, width := range []int64{1280, 700, 380} {
			err := chromedp.Do(ctx, chromedp.EmulateViewport(width, 900), command(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
				Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}}))
			if err != nil {
				t.Fatal(err)
			}
			bad, err := chromedp.Run(ctx, chromedp.Evaluate[[]string](faults))
			if err != nil {
				t.Fatal(err)
			}
			for _, b := range bad {
				t.Errorf("%s, %d wide: %s", scheme, width, b)
			}
			paper, err := chromedp.Run(ctx, chromedp.Evaluate[string]("getComputedStyle(document.body).backgroundColor"))
			if err != nil {
				t.Fatal(err)
			}
			papers[paper] = true
		}
	}
	if len(papers) != 2 {
		t.Errorf("light and dark have the papers %v", papers)
	}
	if pdf, err := chromedp.Run(ctx, chromedp.PrintToPDF()); err != nil || len(pdf) < 10_000 {
		t.Errorf("it prints as %d bytes: %v", len(pdf), err)
	}
	mu.Lock()
	defer mu.Unlock()
	for _, s := range said {
		t.Error("the browser says: ", s)
	}
}
