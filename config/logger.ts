import pino, { type DestinationStream, type Logger } from 'pino'

/**
 * The operator's log: JSON lines on standard error. Only what a call names is written, and an
 * error is reduced to its name, code and message, and those of its causes: libraries hang requests,
 * commands and their arguments on errors (SEC-280).
 */
export function createLogger (level: string, destination?: DestinationStream): Logger {
  return pino({
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    serializers: { err: outlineOf, error: outlineOf }
  }, destination ?? pino.destination({ fd: 2, sync: true }))
}

interface ErrorOutline {
  readonly name: string
  readonly code?: string
  readonly message: string
  readonly cause?: ErrorOutline
}

const causesMax = 4

function outlineOf (error: unknown, depth = 0): ErrorOutline {
  if (!(error instanceof Error)) return { name: 'unknown', message: 'something that is no error was thrown' }
  const { code } = error as { code?: unknown }
  return {
    name: error.name,
    ...(typeof code === 'string' && { code: code.slice(0, 64) }),
    message: error.message.slice(0, 512),
    ...(error.cause !== undefined && depth < causesMax && { cause: outlineOf(error.cause, depth + 1) })
  }
}
