import { invalidRequest } from '../../core/errors.ts'
import { memberText } from './member-text.ts'

const spelling = /^(?:(0|-?[1-9]\d*)|"(0|[1-9]\d*)")$/

/**
 * The version that a write expects, from the text of its `options`; null where it expects none. Only a
 * whole number in digits, such digits as a text, and null for 0 are known: `0.0`, `1e1`, `true` or
 * `[]` must not pass for a version (SEC-191). One below 0 is a number too, and matches no version.
 *
 * @throws BrokerError `invalid_request` `error parsing check-and-set parameter`
 */
export function parseCheckAndSet (options: string | null): number | null {
  const text = options === null || options === 'null' ? null : memberText(options, 'cas')
  if (text === null) return null
  if (text === 'null') return 0
  const [, digits, quoted] = spelling.exec(text) ?? []
  const version = Number(digits ?? quoted)
  if (!Number.isSafeInteger(version)) throw invalidRequest('error parsing check-and-set parameter')
  return version
}

/** Holds a write to what it and the settings ask for. @throws BrokerError with the contract's text. */
export function checkVersion (expected: number | null, required: boolean, current: number): void {
  if (expected === null) {
    if (required) throw invalidRequest('check-and-set parameter required for this call')
  } else if (expected !== current) {
    throw invalidRequest('check-and-set parameter did not match the current version')
  }
}
