-- The demo's tables in the target database. Their error tables and the schema batchdrain are
-- made by the drain.
CREATE TABLE airlines (
    carrier     varchar(2) PRIMARY KEY,
    name        text NOT NULL,
    _client_id  varchar(50) NOT NULL,
    _ver        varchar(20) NOT NULL,
    _updated_at timestamptz
);

CREATE TABLE airports (
    faa         varchar(3) PRIMARY KEY,
    name        text NOT NULL,
    lat         double precision NOT NULL CHECK (lat BETWEEN -90 AND 90),
    lon         double precision NOT NULL CHECK (lon BETWEEN -180 AND 180),
    alt         integer NOT NULL,
    tz          smallint NOT NULL,
    dst         char(1) NOT NULL,
    tzone       text,
    _client_id  varchar(50) NOT NULL,
    _ver        varchar(20) NOT NULL,
    _updated_at timestamptz
);

CREATE TABLE flights (
    carrier        varchar(2) NOT NULL REFERENCES airlines (carrier),
    flight         integer NOT NULL,
    time_hour      timestamptz NOT NULL,
    origin         varchar(3) NOT NULL,
    dest           varchar(3) NOT NULL REFERENCES airports (faa),
    status         varchar(10) NOT NULL DEFAULT 'scheduled' CHECK (status IN ('scheduled', 'flown', 'diverted')),
    sched_dep_time time NOT NULL,
    sched_arr_time time NOT NULL,
    distance       integer NOT NULL CHECK (distance > 0),
    tailnum        varchar(6),
    dep_time       time,
    dep_delay      smallint,
    arr_time       time,
    arr_delay      smallint,
    air_time       smallint,
    _client_id     varchar(50) NOT NULL,
    _ver           varchar(20) NOT NULL,
    _updated_at    timestamptz,
    PRIMARY KEY (carrier, flight, time_hour)
);

CREATE INDEX flights_dest ON flights (dest);
