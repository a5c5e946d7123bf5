/** A JSON value as `JSON.parse` gives it. */
export type Json = null | boolean | number | string | readonly Json[] | JsonObject

/** A JSON object. Read it only by own keys: names such as `constructor` come from callers. */
export interface JsonObject { readonly [key: string]: Json }

/** Whether a JSON value is an object, and neither null nor a list. */
export function isJsonObject (value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
