import { BrokerError } from '../core/errors.ts'

/** Requests that wait for a mount's name to change. */
export interface Waiting {
  /**
   * Resolves when `isOver` holds, the time is up, the caller has gone, or the broker stops.
   * @throws BrokerError `limit_exceeded` where too many wait, in all or for one caller.
   */
  wait (caller: string, seconds: number, isOver: () => boolean, whenGone?: (act: () => void) => void): Promise<void>
  /** Has everyone look again. */
  wake (): void
  /** Lets everyone go, and nobody wait any more. */
  close (): void
  waiting (): number
}

export interface WaitingLimits {
  readonly all: number
  readonly ofCaller: number
}

export function createWaiting (limits: WaitingLimits): Waiting {
  const looks = new Set<(closing: boolean) => void>()
  const byCaller = new Map<string, number>()
  let closed = false

  return {
    async wait (caller, seconds, isOver, whenGone = () => {}) {
      if (closed || isOver()) return
      const own = byCaller.get(caller) ?? 0
      if (looks.size >= limits.all || own >= limits.ofCaller) throw new BrokerError('limit_exceeded', 'too many requests wait')
      byCaller.set(caller, own + 1)
      await new Promise<void>((resolve) => {
        const end = () => {
          clearTimeout(timer)
          if (!looks.delete(look)) return
          const left = (byCaller.get(caller) ?? 1) - 1
          if (left === 0) byCaller.delete(caller)
          else byCaller.set(caller, left)
          resolve()
        }
        const look = (closing: boolean) => { if (closing || isOver()) end() }
        const timer = setTimeout(end, seconds * 1000)
        looks.add(look)
        whenGone(end)
      })
    },
    wake () { for (const look of looks) look(false) },
    close () {
      closed = true
      for (const look of looks) look(true)
    },
    waiting: () => looks.size
  }
}
