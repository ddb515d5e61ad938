// Usage: node description.mjs FULL SMALL
//
// Keeps of GitHub's description (an OpenAPI document) the paths that trueup uses and what they refer to, each unchanged:
// prism takes half a minute to read the whole one, and a second for this.

import { readFileSync, writeFileSync } from "node:fs";

const used = [
  "/app/installations/{installation_id}/access_tokens",
  "/repos/{owner}/{repo}",
  "/repos/{owner}/{repo}/branches/{branch}",
  "/repos/{owner}/{repo}/git/matching-refs/{ref}",
  "/repos/{owner}/{repo}/installation",
  "/repos/{owner}/{repo}/pulls",
  "/repos/{owner}/{repo}/pulls/{pull_number}",
  "/repos/{owner}/{repo}/pulls/{pull_number}/requested_reviewers",
  "/repos/{owner}/{repo}/issues/{issue_number}/comments",
  "/repos/{owner}/{repo}/issues/{issue_number}/labels",
];

const [, , full, small] = process.argv;
const { openapi, info, servers, paths, components } = JSON.parse(readFileSync(full));
const kept = { openapi, info, servers, paths: {}, components: {} };

for (const path of used) {
  if (!paths[path]) throw new Error(`the description has no ${path}`);
  kept.paths[path] = paths[path];
  follow(paths[path]);
}
writeFileSync(small, JSON.stringify(kept));

function follow(value) {
  if (value === null || typeof value !== "object") return;
  if (typeof value.$ref === "string") keep(value.$ref);
  Object.values(value).forEach(follow);
}

function keep(reference) {
  const match = /^#\/components\/([^/]+)\/([^/]+)$/.exec(reference);
  if (!match) throw new Error(`cannot follow ${reference}`);
  const [, group, name] = match;
  kept.components[group] ??= {};
  if (name in kept.components[group]) return;
  kept.components[group][name] = components[group][name];
  follow(components[group][name]);
}
