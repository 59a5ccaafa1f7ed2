// Starts the viewer on this service's own description. The page's policy allows no inline script.
"use strict";

// A collection's schema is somebody's text, and no Markdown: it shows as it was written.
const asWritten = (_, { React }) => ({ schema }) =>
  typeof schema?.description === "string"
    ? React.createElement("div", { className: "json-schema-2020-12-keyword--description" }, schema.description)
    : null;

// What an example is made to obey can be made to take for ever: {"minLength": 1e9}, (a{99}){99}.
const costly = new Set(["pattern", "minLength", "minItems", "minContains", "minProperties"]);
const isCostly = (name, value) => costly.has(name) && typeof value !== "object"; // no property of that name
const cheap = (schema) =>
  JSON.parse(JSON.stringify(schema ?? {}, (name, value) => (isCostly(name, value) ? undefined : value)));

function sampleCheaply() {
  const sample = this.fn.getSampleSchema;
  this.fn.getSampleSchema = (schema, ...rest) => sample(cheap(schema), ...rest);
}

SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#viewer",
  deepLinking: true,
  displayRequestDuration: true,
  validatorUrl: null, // the viewer would tell a server on the web of this one
  plugins: [{ wrapComponents: { JSONSchema202012KeywordDescription: asWritten }, afterLoad: sampleCheaply }],
});
