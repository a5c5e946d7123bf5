import { hash } from 'node:crypto'
import type { Incoming } from '../http/incoming.ts'
import type { Claim } from './credential.ts'

/**
 * The canonical request of AWS Signature Version 4, from the request as it came ("Create a
 * signed AWS API request", IAM User Guide). S3 alone takes the path as it is; all others
 * normalise it and encode it once more.
 */
export function canonicalRequest (request: Incoming, claim: Claim): string {
  const isS3 = claim.service === 's3'
  const headers = claim.signedHeaders
    .map((name) => `${name}:${canonicalValue(request.headers.get(name) ?? '')}\n`)
    .join('')
  return `${request.method}\n${isS3 ? encodedOnce(request.path) : canonicalPath(request.path)}\n` +
    `${canonicalQuery(request.query, claim.form)}\n${headers}\n${claim.signedHeaders.join(';')}\n` +
    payloadHash(request, claim)
}

/** What is signed: the algorithm, the instant, the scope and the hash of the canonical request. */
export function stringToSign (canonical: string, claim: Claim): string {
  return `AWS4-HMAC-SHA256\n${claim.timestamp}\n` +
    `${claim.scopeDay}/${claim.region}/${claim.service}/${claim.terminator}\n${hash('sha256', canonical)}`
}

function canonicalValue (value: string): string {
  const trimmed = value.trim()
  return trimmed.includes('  ') ? trimmed.replaceAll(/ {2,}/g, ' ') : trimmed
}

function canonicalPath (path: string): string {
  if (path === '/' || path === '') return '/'
  const segments: string[] = []
  for (const segment of path.split('/')) {
    if (segment === '..') segments.pop()
    else if (segment !== '' && segment !== '.') segments.push(encode(encodedOnce(segment)))
  }
  const isDirectory = path.endsWith('/') && segments.length > 0
  return `/${segments.join('/')}${isDirectory ? '/' : ''}`
}

/** A path with everything encoded that has to be, and nothing else: each segment once. */
function encodedOnce (path: string): string {
  return path.split('/').map((segment) => encode(decodeLeniently(segment))).join('/')
}

function canonicalQuery (query: string, form: Claim['form']): string {
  if (query === '') return ''
  const pairs: [string, string][] = []
  for (const pair of query.split('&')) {
    if (pair === '') continue
    const equals = pair.indexOf('=')
    const name = decodeLeniently(equals === -1 ? pair : pair.slice(0, equals))
    if (form === 'query' && name === 'X-Amz-Signature') continue
    pairs.push([encode(name), encode(decodeLeniently(equals === -1 ? '' : pair.slice(equals + 1)))])
  }
  return pairs
    .sort(([a, x], [b, y]) => a === b ? compare(x, y) : compare(a, b))
    .map(([name, value]) => `${name}=${value}`)
    .join('&')
}

function payloadHash (request: Incoming, claim: Claim): string {
  const declared = request.headers.get('x-amz-content-sha256')
  if (claim.service === 's3' && (declared === 'UNSIGNED-PAYLOAD' || claim.form === 'query')) {
    return 'UNSIGNED-PAYLOAD'
  }
  return hash('sha256', request.body)
}

function compare (a: string, b: string): number {
  if (a === b) return 0
  return a < b ? -1 : 1
}

function decodeLeniently (text: string): string {
  if (!text.includes('%')) return text
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** RFC 3986: all but unreserved characters, in capital hexadecimal. */
function encode (text: string): string {
  return encodeURIComponent(text.toWellFormed())
    .replaceAll(/[!'()*]/g, (letter) => `%${letter.charCodeAt(0).toString(16).toUpperCase()}`)
}
