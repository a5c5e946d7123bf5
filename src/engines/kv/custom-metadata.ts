import { invalidRequest } from '../../core/errors.ts'
import type { JsonObject } from '../../core/json.ts'

const keysMax = 64
const keyBytesMax = 128
const valueBytesMax = 512
const unprintable = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}]|(?! )\p{Zs}/u

/**
 * Metadata that callers choose: at most 64 printable texts (contract 7.5). Null where there are none.
 *
 * @throws BrokerError `invalid_request` with every limit that is passed, and nothing of what was sent (SEC-201).
 */
export function parseCustomMetadata (raw: JsonObject): Readonly<Record<string, string>> | null {
  const entries = Object.entries(raw)
  const faults = new Set<string>()
  if (entries.length > keysMax) faults.add(`payload must contain at most ${keysMax} keys`)
  const texts: [string, string][] = []
  for (const [name, value] of entries) {
    faultsOf('key', name, keyBytesMax, faults)
    if (typeof value === 'string') {
      faultsOf('value', value, valueBytesMax, faults)
      texts.push([name, value])
    } else {
      faults.add('values must be strings')
    }
  }
  if (faults.size === 0) return texts.length === 0 ? null : Object.fromEntries(texts)
  const list = [...faults].map((fault) => `\t* custom_metadata validation failed: ${fault}\n`).join('')
  throw invalidRequest(`${faults.size} ${faults.size === 1 ? 'error' : 'errors'} occurred:\n${list}\n`)
}

function faultsOf (what: string, text: string, bytesMax: number, faults: Set<string>): void {
  const bytes = Buffer.byteLength(text)
  if (bytes === 0 || bytes > bytesMax) faults.add(`a ${what} must have 1 to ${bytesMax} bytes`)
  if (unprintable.test(text)) faults.add(`a ${what} must be printable`)
}
