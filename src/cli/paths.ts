import { isPathSegment, PATH_LENGTH_MAX } from '../core/path.ts'
import { Failure } from './failure.ts'

/**
 * The segments of a path as people write it, `secret/data/app`. What the broker would refuse is
 * refused here: nothing is repaired, so what is asked for is what was written (SEC-001, SEC-339).
 *
 * @throws Failure `usage`.
 */
export function parsePath (text: string, { mayEndInSlash = false } = {}): string[] {
  const segments = (mayEndInSlash && text.endsWith('/') ? text.slice(0, -1) : text).split('/')
  if (text.length > PATH_LENGTH_MAX || !segments.every(isPathSegment)) {
    throw new Failure('usage', 'this is no path: it has an empty or relative segment, an escape, a hidden character, or is too long')
  }
  return segments
}

/** A path as it stands in a request: each segment is escaped, and nothing else is. */
export function encodePath (segments: readonly string[]): string {
  return segments.map((segment) => encodeURIComponent(segment)).join('/')
}

/** Parameters as they stand in a request; those that are null are left out. */
export function encodeQuery (parameters: Readonly<Record<string, string | null>>): string {
  const given = Object.entries(parameters).filter((pair): pair is [string, string] => pair[1] !== null)
  return given.length === 0 ? '' : `?${given.map((pair) => pair.map(encodeURIComponent).join('=')).join('&')}`
}
