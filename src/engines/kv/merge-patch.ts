import { isJsonObject, isKeptNumber, type Json, type JsonObject } from '../../core/json.ts'

/**
 * JSON Merge Patch (RFC 7396, section 2) on values read by `parseExact`: null removes, objects
 * merge, everything else replaces. Neither value is changed, and names such as `__proto__` are
 * names like any other (SEC-198).
 */
export function mergePatch (target: Json, patch: Json): Json {
  if (!isMergeable(patch)) return patch
  const merged: Record<string, Json> = Object.create(null)
  if (isMergeable(target)) {
    for (const name of Object.keys(target)) {
      if (!Object.hasOwn(patch, name)) merged[name] = target[name] ?? null
    }
  }
  for (const name of Object.keys(patch)) {
    const value = patch[name] ?? null
    if (value === null) continue
    const former = isMergeable(target) && Object.hasOwn(target, name) ? target[name] ?? null : null
    merged[name] = mergePatch(former, value)
  }
  return merged
}

function isMergeable (value: Json): value is JsonObject {
  return isJsonObject(value) && !isKeptNumber(value)
}
