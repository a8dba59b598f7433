import { expect, test } from "vitest";
import { type Participant, resemblances } from "./model";

const person = (id: string, skeleton: string, user = ""): Participant => ({
  id,
  displayName: id,
  skeleton,
  user,
  role: "participant",
  presence: "connected",
  tracks: [],
});

test("TOK-4: another device of an account is told from a name that looks alike", () => {
  const people = [
    person("a", "mark", "users/1"),
    person("b", "mark", "users/1"),
    person("c", "mark"),
    person("d", "ada"),
    person("e", "ada"),
    person("f", ""),
    person("g", ""),
  ];
  expect([...resemblances(people)]).toEqual([
    ["b", "other-device"],
    ["c", "similar-name"],
    ["e", "similar-name"],
  ]);
});
