#!/usr/bin/env python3
"""What book.py makes of pages, and what it takes for shown. Without a room."""

import tempfile
import unittest

from book import Command, Example, Examples, File, Wrong, on_a_terminal, parse, run


def compare(shown, output, *examples):
    known = Examples()
    for example in examples:
        known.add(example)
    return known.compare(shown.splitlines(), output), known


class Pages(unittest.TestCase):
    def test_commands_and_what_they_print(self):
        page = parse("Text\n\n```console\n# one \\\n  two\nsaid\n$ three\n```\n")
        first, second = page.steps
        self.assertEqual((first.user, first.text, first.shown), ("root", "one \\\n  two", ["said"]))
        self.assertEqual((second.user, second.text, second.shown, second.line), ("ann", "three", [], 7))

    def test_lines_that_go_on(self):
        (command,) = parse("```console\n# cat <<T\n> a\n>\n> T\na\n```").steps
        self.assertEqual((command.text, command.shown), ("cat <<T\na\n\nT", ["a"]))

    def test_a_block_in_a_list(self):
        (command,) = parse("1. Do:\n\n   ```console\n   # a\n     b\n   ```\n").steps
        self.assertEqual((command.text, command.shown), ("a", ["  b"]))

    def test_files(self):
        page = parse("<!-- test: append=/etc/x -->\n```toml\n[a]\n```\n")
        (file,) = page.steps
        self.assertIsInstance(file, File)
        self.assertEqual((file.path, file.append, file.text), ("/etc/x", True, "[a]\n"))

    def test_exit_statuses(self):
        page = parse("<!-- test: status=1 -->\n\n```console\n# a\n# b\n```\n```console\n# c\n# echo $?\n3\n```\n")
        self.assertEqual([c.status for c in page.steps], [0, 1, None, 0])

    def test_answers(self):
        page = parse("<!-- test: answer=y -->\n```console\n# a\n# it's\n```\n")
        self.assertEqual([c.answer for c in page.steps], [None, "y"])
        self.assertTrue(on_a_terminal("it's", "y").endswith("printf '%s\\n' 'y'; } | script -qec 'it'\\''s' /dev/null"))

    def test_settings_and_what_is_not_seen(self):
        page = parse("<!-- test: packages=a,b -->\n<!-- test: zone\nx TXT y\n-->\n<!-- test: run\nlater\n-->\n<!-- test: example=Id1 -->\n")
        self.assertEqual(page.settings, {"packages": "a,b", "zone": "x TXT y"})
        self.assertIsInstance(page.steps[0], Command)
        self.assertEqual(page.steps[0].text, "(set -e\nlater\n)")
        self.assertIsInstance(page.steps[1], Example)
        self.assertEqual(page.commands(), [])

    def test_other_blocks_and_comments_are_left_alone(self):
        page = parse("<!-- a comment -->\n```sh\n# not run\n```\n```\n```\n")
        self.assertEqual(page.steps, [])

    def test_what_no_page_may_have(self):
        for text in (
            "```console\nsaid\n```",
            "```console\n```",
            "```console\n# a",
            "<!-- test: status=1 -->\n```sh\n```",
            "<!-- test: status=1 -->\n",
            "<!-- test: nonsense=1 -->",
            "<!-- test: run\n",
            "<!-- test: bare --> text",
        ):
            with self.assertRaises(Wrong, msg=text):
                parse(text)


class Outputs(unittest.TestCase):
    def test_the_same(self):
        self.assertIsNone(compare("a\nb", "a\nb  \n")[0])

    def test_columns_may_be_wider(self):
        self.assertIsNone(compare("name  a\n  b", "name      a\n    b\n")[0])
        self.assertEqual(compare("name a", "namea\n")[0], 0)

    def test_every_line_counts(self):
        self.assertEqual(compare("a", "a\nb\n")[0], 1)
        self.assertEqual(compare("a\nb", "a\n")[0], 1)
        self.assertEqual(compare("a", "")[0], 0)
        self.assertEqual(compare("a.c", "abc\n")[0], 0)

    def test_anything_within_a_line(self):
        self.assertIsNone(compare("id ... of a", "id 17 18 of a\n")[0])
        self.assertIsNone(compare("id ... of a", "id of a\n")[0])
        self.assertEqual(compare("id ... of a", "id\n of a\n")[0], 0)

    def test_any_lines(self):
        self.assertIsNone(compare("...\nlast", "a\nb\nlast\n")[0])
        self.assertIsNone(compare("first\n...", "first\n")[0])
        self.assertEqual(compare("...\nlast", "a\n")[0], 1)

    def test_in_their_order(self):
        self.assertEqual(compare("...\nb\n...\na\n...", "a\nb\n")[0], 3)

    def test_an_example_stands_for_what_was_seen_first(self):
        found, known = compare("id Id1\nagain Id1", "id x-2\nagain x-2\n", "Id1")
        self.assertIsNone(found)
        self.assertEqual(known.applied("explain Id1"), "explain x-2")
        self.assertIsNone(known.compare(["id Id1"], "id x-2\n"))
        self.assertEqual(known.compare(["id Id1"], "id x-3\n"), 0)
        self.assertEqual(compare("id Id1\nagain Id1", "id x\nagain y\n", "Id1")[0], 1)


class Rooms(unittest.TestCase):
    """Pages that are run, with commands that ask for no room."""

    def run_page(self, *lines):
        return run(parse("\n".join(lines) + "\n"), False)

    def wrong(self, *lines):
        with self.assertRaises(Wrong) as raised:
            self.run_page(*lines)
        return str(raised.exception)

    def test_what_is_shown_happens(self):
        done = self.run_page("```console", "# cd /usr && echo $PWD", "/usr", "# echo $PWD; false", "/usr", "# echo $?", "1", "```")
        self.assertEqual(done, 3)

    def test_what_is_shown_does_not_happen(self):
        said = self.wrong("```console", "# echo two", "one", "```")
        self.assertIn("line 2: echo two", said)
        self.assertIn("--- said:\ntwo", said)

    def test_what_fails_unseen(self):
        self.assertIn("exit status 1, not 0", self.wrong("```console", "# false", "# true", "```"))
        self.assertIn("exit status 1, not 0", self.wrong("<!-- test: run", "false", "true", "-->"))
        self.assertIn("exit status 0 although", self.wrong("<!-- test: status=fail -->", "```console", "# true", "```"))
        self.assertIn("ended the shell", self.wrong("```console", "# exit 3", "```"))

    def test_a_file_and_an_example(self):
        with tempfile.NamedTemporaryFile() as file:
            self.run_page(
                "<!-- test: example=Id1 -->",
                "```console",
                "# echo id 17",
                "id Id1",
                "```",
                f"<!-- test: file={file.name} -->",
                "```text",
                "the id is Id1",
                "```",
                "```console",
                f"# cat {file.name}; echo Id1",
                "the id is 17",
                "Id1",
                "```",
            )

    def test_an_answer_on_a_terminal(self):
        ask = "# test -t 0 && printf 'Well? ' && read -r word && echo \"so: $word\""
        self.run_page("<!-- test: answer=yes -->", "```console", ask, "Well? yes", "so: yes", "```")


if __name__ == "__main__":
    unittest.main(verbosity=0)
