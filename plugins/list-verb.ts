import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'

/** A verb of the API that Node's parser does not know. */
export type RewrittenVerb = 'LIST' | 'SCAN' | 'HELP'

/** What travels through the parser in place of each verb. Equal lengths, so no byte moves. */
const LIST = Buffer.from('LIST ')
const LIST_STAND_IN = Buffer.from('LINK ')

/** The methods under which rewritten requests arrive. A client that sends them itself is answered 405. */
export const standIns: Readonly<Record<RewrittenVerb, string>> = { LIST: 'LINK', SCAN: 'COPY', HELP: 'BIND' }

/** Verbs that are let through only where they come whole. */
const wholeVerbs = (['HELP', 'SCAN'] as const).map((verb) =>
  ({ verb, bytes: Buffer.from(`${verb} `), standIn: Buffer.from(`${standIns[verb]} `) }))

const CR = 0x0d
const LF = 0x0a
const BLANK_LINE = 0x0d0a0d0a

/** Lets LIST, SCAN and HELP through the parser on one connection. */
export interface ListVerb {
  /** Hears of each request as the parser announces it; answers the verb that its client sent, if it was rewritten. */
  announced (request: IncomingMessage): RewrittenVerb | null
}

/**
 * Watches the bytes of a connection just before Node's parser sees them, and at the very start of a
 * request writes a verb that the parser knows over `LIST`, `SCAN` or `HELP`, in place (contract 0.1).
 *
 * Nothing else is ever touched. A chunk of bytes counts as a start only if all that came before
 * ended exactly with a complete request: the parser has called the last one complete, and the bytes
 * ended in a blank line or with the last byte of a body whose length was announced. In every other
 * case, such as a pipelined LIST in one chunk with the request before it, the bytes stay as they are and
 * the parser refuses them, which closes the connection (SEC-043).
 */
export function watchListVerb (socket: Socket): ListVerb {
  let pending: RewrittenVerb | null = null
  let matched = 0
  let last: IncomingMessage | null = null
  let chunk: Buffer | null = null
  let tail = 0
  let tailBefore = 0
  /** Where the message that began in this chunk begins; -1 where it began in an earlier one. */
  let messageStart = 0
  /** Bytes of the last request's body still to come; NaN where that cannot be told. */
  let bodyLeft = NaN
  let announcedInChunk = 0

  function isAtStart (): boolean {
    if (chunk === null) return true
    return last?.complete === true && (tail === BLANK_LINE || bodyLeft === 0)
  }

  function onData (bytes: Buffer): void {
    if (matched > 0) matched = continueList(bytes)
    else if (isAtStart()) {
      const start = skipBlank(bytes)
      if (start === bytes.length) return
      messageStart = start
      bodyLeft = NaN
      matched = begin(bytes, start)
    } else {
      messageStart = -1
      bodyLeft -= bytes.length
    }
    chunk = bytes
    announcedInChunk = 0
    tailBefore = tail
    tail = tailOf(tail, bytes)
  }

  /** Answers how many bytes of `LIST ` have been seen where the chunk ends within them. */
  function begin (bytes: Buffer, start: number): number {
    for (const { verb, bytes: whole, standIn } of wholeVerbs) {
      if (bytes[start] !== whole[0]) continue
      const end = start + whole.length
      if (bytes.length < end || bytes.compare(whole, 0, whole.length, start, end) !== 0) continue
      standIn.copy(bytes, start)
      pending = verb
      return 0
    }
    return matchList(bytes, start, 0)
  }

  function continueList (bytes: Buffer): number {
    messageStart = -1
    const before = matched
    const result = matchList(bytes, 0, before)
    // `LIS` went on as `LIN`; what follows must not turn it into a verb that nobody sent.
    if (result === 0 && pending === null && before > 2) bytes[0] = 0
    return result
  }

  function matchList (bytes: Buffer, start: number, from: number): number {
    let seen = from
    let i = start
    while (seen < LIST.length && i < bytes.length && bytes[i] === LIST[seen]) {
      seen++
      i++
    }
    if (seen < LIST.length && i < bytes.length) return 0
    for (let k = start; k < i; k++) bytes[k] = LIST_STAND_IN[from + k - start] ?? 0
    if (seen < LIST.length) return seen
    pending = 'LIST'
    return 0
  }

  /** Where the head of the request just announced ends in the present chunk; -1 where that cannot be told. */
  function endOfHead (bytes: Buffer): number {
    if (announcedInChunk > 1) return -1
    if (messageStart === -1) {
      for (let had = 3; had >= 1; had--) {
        if (bytes.length >= 4 - had && straddles(had, bytes)) return 4 - had
      }
    }
    const at = bytes.indexOf('\r\n\r\n', Math.max(messageStart, 0), 'latin1')
    return at === -1 ? -1 : at + 4
  }

  function straddles (had: number, bytes: Buffer): boolean {
    let word = tailBefore
    for (let i = 0; i < 4 - had; i++) word = (word << 8 | (bytes[i] ?? 0)) >>> 0
    return word === BLANK_LINE
  }

  socket.prependListener('data', onData)

  return {
    announced (request) {
      last = request
      announcedInChunk++
      bodyLeft = NaN
      const length = request.headers['content-length']
      if (length !== undefined && chunk !== null) {
        const end = endOfHead(chunk)
        if (end !== -1) bodyLeft = Number(length) - (chunk.length - end)
      }
      const verb = pending
      pending = null
      if (verb === null || request.method === standIns[verb]) return verb
      socket.destroy()
      return null
    }
  }
}

function skipBlank (bytes: Buffer): number {
  let start = 0
  while (bytes[start] === CR || bytes[start] === LF) start++
  return start
}

function tailOf (before: number, bytes: Buffer): number {
  if (bytes.length >= 4) return bytes.readUInt32BE(bytes.length - 4)
  let word = before
  for (const byte of bytes) word = (word << 8 | byte) >>> 0
  return word
}
