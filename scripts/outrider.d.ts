// Types of Outrider's routing scripts, for editors and type checkers.
//
// Beside a script.js, in plain JavaScript:
//
//     /// <reference path="./outrider.d.ts" />
//     /** @type {Outrider.Route} */
//     function route(req, ctx) { ... }

export {};

declare global {
  namespace Outrider {
    /** Decides where a request goes. It must answer at once: it may not be async. */
    type Route = (req: Request, ctx: Context) => Decision;

    /** The request. Read-only, valid until route returns. A property costs only when it is read. */
    interface Request {
      /** As sent: "GET". */
      readonly method: string;
      /** As received: no query, still percent-encoded. This is what is forwarded. */
      readonly path: string;
      /**
       * For decisions that protect something: escapes of unreserved characters decoded,
       * slashes merged, dot segments resolved.
       */
      readonly cleanPath: string;
      /** scheme://host/path?query */
      readonly url: string;
      /** Without the port, lower case. */
      readonly host: string;
      readonly scheme: 'http' | 'https';
      /** The client's address. */
      readonly ip: string;
      /** The request id. */
      readonly id: string;
      /** The name of the listener it came in by. */
      readonly listener: string;
      /** Names in any case; repeated headers joined by ", ". */
      readonly headers: Lookup;
      /** Decoded as URLSearchParams does. */
      readonly query: Lookup & {
        /** All values of a name, in order. */
        getAll(name: string): string[];
      };
      /** Values as sent, without quotes around them. */
      readonly cookies: Lookup;
    }

    /** Names and values. get and has are functions, whatever the request holds; reach names like these by get. */
    type Lookup = {
      /** The first value, null if there is none. */
      get(name: string): string | null;
      has(name: string): boolean;
    } & { readonly [name: string]: any };

    interface Context {
      /** The clusters and their backends as they are right now. */
      readonly clusters: { readonly [name: string]: Cluster };
      /** Maps a text evenly to [0,1): the same on every sidecar, platform and version. */
      hash(text: string): number;
      /** Milliseconds since 1970; stands still during a call, as Date.now() does. */
      readonly now: number;
    }

    interface Cluster {
      readonly name: string;
      /** Backends that take requests. */
      readonly healthy: number;
      readonly total: number;
    }

    /** A cluster, or the first of a list that has a usable backend. */
    type Target = string | readonly string[];

    type Decision =
      | Target
      /** default_cluster; 404 where none is set */
      | null
      | undefined
      | void
      | {
          cluster: Target;
          respond?: undefined;
          /** Why, for the log: at most 64 bytes. */
          rule?: string;
        }
      | {
          /** The sidecar answers by itself. */
          respond: Respond;
          cluster?: undefined;
          /** Why, for the log: at most 64 bytes. */
          rule?: string;
        };

    interface Respond {
      /** 200 to 599 */
      status: number;
      headers?: { [name: string]: string };
      /** At most 64 KiB. */
      body?: string;
    }
  }

  /** console writes to the sidecar's log, about ten lines per second at most. */
  interface Console {
    log(...values: any[]): void;
    warn(...values: any[]): void;
    error(...values: any[]): void;
  }
  var console: Console;
}
