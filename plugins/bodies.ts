import type { IncomingMessage } from 'node:http'
import { BrokerError, invalidRequest } from '../src/core/errors.ts'
import type { JsonObject } from '../src/core/json.ts'
import { parseJsonObject } from '../src/core/json-scan.ts'
import { parseQuery } from '../src/core/path.ts'

/** A body as data; `text` is null where there was none, or where it was a form. */
export interface Body {
  readonly data: JsonObject
  readonly text: string | null
}

/** No data: an empty body, `null`, or a request that has none. */
export const noBody: Body = { data: Object.freeze({}), text: null }

const FORM_PAIRS_MAX = 1000
const DRAINED_BYTES_MAX = 67_108_864
const DRAIN_MS = 2000
const nothing = Buffer.alloc(0)

/** The refusal of a body above its limit; clients know these words. */
export function tooLarge (): BrokerError {
  return new BrokerError('too_large', 'http: request body too large')
}

/** Bytes that a request announces: 0 without a body, Infinity where only its end will tell. */
export function announcedBytes (request: IncomingMessage): number {
  if (request.headers['transfer-encoding'] !== undefined) return Infinity
  const length = request.headers['content-length']
  return length === undefined ? 0 : Number(length)
}

/**
 * Gathers a request's body and hands it over once, unless its client goes away before its end. A
 * body that is announced or grows above `bytesMax` is refused before more than that is held.
 */
export function readBody (
  request: IncomingMessage, bytesMax: number, done: (body: Buffer | BrokerError) => void
): void {
  const announced = announcedBytes(request)
  if (announced === 0) {
    done(nothing)
    return
  }
  if (announced !== Infinity && announced > bytesMax) {
    done(tooLarge())
    return
  }
  const chunks: Buffer[] = []
  let bytes = 0

  function onData (chunk: Buffer): void {
    bytes += chunk.length
    if (bytes <= bytesMax) {
      chunks.push(chunk)
      return
    }
    request.off('data', onData)
    request.off('end', onEnd)
    chunks.length = 0
    done(tooLarge())
  }

  function onEnd (): void {
    const [first = nothing] = chunks
    done(chunks.length <= 1 ? first : Buffer.concat(chunks, bytes))
  }

  request.on('data', onData)
  request.on('end', onEnd)
}

/**
 * Understands a body by its bytes and not by its label (contract 1.6, SEC-065): a JSON object
 * under any type, a form only where the label says form and the bytes do not begin like JSON.
 *
 * @throws BrokerError `invalid_request`
 */
export function parseBody (bytes: Buffer, contentType: string): Body {
  if (bytes.length === 0) return noBody
  const first = firstVisible(bytes)
  if (isForm(contentType) && first !== 0x7b && first !== 0x5b) return parseForm(bytes)
  const { data, text } = parseJsonObject(bytes)
  return data === null ? noBody : { data, text }
}

function firstVisible (bytes: Buffer): number | undefined {
  let i = 0
  while (i < bytes.length && (bytes[i] === 0x20 || bytes[i] === 0x09 || bytes[i] === 0x0a || bytes[i] === 0x0d)) i++
  return bytes[i]
}

function isForm (contentType: string): boolean {
  return contentType !== '' && contentType.length < 256 && mediaType(contentType) === 'application/x-www-form-urlencoded'
}

function mediaType (contentType: string): string {
  const end = contentType.indexOf(';')
  return (end === -1 ? contentType : contentType.slice(0, end)).trim().toLowerCase()
}

function parseForm (bytes: Buffer): Body {
  const query = parseQuery(bytes.toString('latin1'), FORM_PAIRS_MAX)
  if (query instanceof BrokerError) throw invalidRequest('failed to decode form input: malformed form')
  const data: Record<string, string> = Object.create(null)
  for (const name of Object.keys(query)) {
    const value = query[name] ?? ''
    data[name] = typeof value === 'string' ? value : value.join(',')
  }
  return { data, text: null }
}

const mediaTypeForm = /^[\w!#$&^.+-]{1,63}\/[\w!#$&^.+-]{1,63}$/

/** What is wrong with the type of a PATCH (contract 1.7); null where it is a merge patch. */
export function checkPatchType (contentType: string): BrokerError | null {
  if (contentType === '') return invalidRequest('mime: no media type')
  const type = mediaType(contentType.slice(0, 256))
  if (!mediaTypeForm.test(type)) return invalidRequest('mime: invalid media type')
  if (type === 'application/merge-patch+json') return null
  return new BrokerError('unsupported_media_type', `PATCH requires Content-Type of application/merge-patch+json, provided ${type}`)
}

/** Refuses every content coding: nothing is ever decompressed (SEC-292). */
export function checkContentEncoding (contentEncoding: string): BrokerError | null {
  return contentEncoding === '' ? null : new BrokerError('unsupported_media_type', 'content encodings are not supported')
}

/**
 * Takes what a client still sends and forgets it, up to bounds, then calls `done`. A connection
 * that is cut with bytes unread takes the answer away from its client.
 */
export function drainBody (request: IncomingMessage, done: () => void): void {
  let left = DRAINED_BYTES_MAX
  const timer = setTimeout(finish, DRAIN_MS)

  function onData (chunk: Buffer): void {
    left -= chunk.length
    if (left < 0) finish()
  }

  function finish (): void {
    clearTimeout(timer)
    request.off('data', onData)
    request.off('end', finish)
    request.off('close', finish)
    done()
  }

  request.on('data', onData)
  request.once('end', finish)
  request.once('close', finish)
  request.resume()
}
